package keyfile

import (
	"context"
	"crypto/tls"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Sources are the certificates of several key files that one port serves. They are
// never none.
type Sources []*Source

// OpenSources opens the file of the options and more files, all of them different.
// Their passwords are the same; the record is of the first alone.
func OpenSources(o SourceOptions, more []string) (Sources, error) {
	registerer := o.Registerer
	o.Registerer = nil // one collector tells of all
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
	sources.register(registerer)
	return sources, nil
}

// GetCertificate is for a tls.Config. It takes the first certificate that names the
// host that the client asks for and is valid now, else the first that names it, and
// the first of all if none does or the client says no name. It never waits.
func (s Sources) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	chosen, now := s[0], time.Now()
	if hello != nil && hello.ServerName != "" {
		named := false
		for _, source := range s {
			leaf := source.current.Load().Certificate.Leaf
			valid := !now.Before(leaf.NotBefore) && !now.After(leaf.NotAfter)
			if (valid || !named) && leaf.VerifyHostname(hello.ServerName) == nil {
				chosen, named = source, true
				if valid {
					break
				}
			}
		}
	}
	return chosen.GetCertificate(hello)
}

// TryAll is Try for each of the files.
func TryAll(paths []string, o Options) (all []*Candidate, err error) {
	for _, path := range paths {
		c, err := Try(path, o)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// Take serves the candidates from now on, of which there are as many as sources.
func (s Sources) Take(all []*Candidate) {
	for i, c := range all {
		s[i].Take(c)
	}
}

var (
	expires = prometheus.NewDesc("audiences_certificate_expires_timestamp_seconds",
		"When the certificate that is served ends, in seconds since 1970.", []string{"file"}, nil)
	refused = prometheus.NewDesc("audiences_key_file_refused",
		"1 while the key file on disk cannot be loaded and an earlier one is served.", []string{"file"}, nil)
)

// register has the sources counted, by the files that they have at that moment.
func (s Sources) register(with prometheus.Registerer) {
	if with != nil {
		with.MustRegister(s)
	}
}

// Describe is prometheus.Collector's.
func (s Sources) Describe(to chan<- *prometheus.Desc) {
	to <- expires
	to <- refused
}

// Collect is prometheus.Collector's.
func (s Sources) Collect(to chan<- prometheus.Metric) {
	for _, source := range s {
		file, not := source.path(), 0.0
		if source.refused.Load() {
			not = 1
		}
		to <- prometheus.MustNewConstMetric(expires, prometheus.GaugeValue, float64(source.Entry().Certificate.Leaf.NotAfter.Unix()), file)
		to <- prometheus.MustNewConstMetric(refused, prometheus.GaugeValue, not, file)
	}
}

// Troubles are sentences about the certificates whose dates make clients refuse them now, or
// will within seven days.
func (s Sources) Troubles() (sentences []string) {
	for _, source := range s {
		if trouble := dateTrouble(source.Entry(), time.Now()); trouble != "" {
			sentences = append(sentences, "The certificate of "+source.path()+" "+trouble+".")
		}
	}
	return sentences
}

// Watch looks after all files until ctx ends.
func (s Sources) Watch(ctx context.Context) {
	var watching sync.WaitGroup
	for _, source := range s {
		watching.Go(func() { source.Watch(ctx) })
	}
	watching.Wait()
}
