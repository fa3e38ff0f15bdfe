package keyfile

import (
	"context"
	"crypto/tls"
	"sync"
)

// Sources are the certificates of several key files that one port serves. They are
// never none.
type Sources []*Source

// OpenSources opens the file of the options and more files, all of them different.
// Their passwords are the same; the record is of the first alone.
func OpenSources(o SourceOptions, more []string) (Sources, error) {
	first, err := Open(o)
	if err != nil {
		return nil, err
	}
	sources := Sources{first}
	o.Record = ""
	for _, o.Path = range more {
		source, err := Open(o)
		if err != nil {
			return nil, err
		}
		sources = append(sources, source)
	}
	return sources, nil
}

// GetCertificate is for a tls.Config. It takes the first certificate that names the
// host that the client asks for, and the first of all if none does or the client says
// no name. It never waits.
func (s Sources) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if hello != nil && hello.ServerName != "" {
		for _, source := range s {
			if source.current.Load().Certificate.Leaf.VerifyHostname(hello.ServerName) == nil {
				return source.GetCertificate(hello)
			}
		}
	}
	return s[0].GetCertificate(hello)
}

// Watch looks after all files until ctx ends.
func (s Sources) Watch(ctx context.Context) {
	var watching sync.WaitGroup
	for _, source := range s {
		watching.Go(func() { source.Watch(ctx) })
	}
	watching.Wait()
}
