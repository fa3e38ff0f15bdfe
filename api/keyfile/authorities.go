package keyfile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/rs/zerolog"
)

// AuthoritiesOptions say which file Authorities are read from.
type AuthoritiesOptions struct {
	Path       string // "": there are none
	Logger     zerolog.Logger
	Registerer prometheus.Registerer // nil: metrics are kept and not registered
}

// Authorities are the certificates of a PEM file that those of clients are verified
// with. The file may be replaced while the server runs, as that of a [Source] may.
type Authorities struct {
	options AuthoritiesOptions
	pool    atomic.Pointer[x509.CertPool]
	refused atomic.Bool // the file on disk cannot be loaded

	// Watch alone touches these.
	seen  [sha256.Size]byte // at the last look
	tried [sha256.Size]byte // what was loaded or refused last
}

// OpenAuthorities loads the file, which must be good at the start.
func OpenAuthorities(o AuthoritiesOptions) (*Authorities, error) {
	a := &Authorities{options: o}
	promauto.With(o.Registerer).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "audiences_client_ca_file_refused",
		Help: "1 while the file of the clients' authorities on disk cannot be loaded and an earlier one is gone by.",
	}, func() float64 {
		if a.refused.Load() {
			return 1
		}
		return 0
	})
	if o.Path == "" {
		return a, nil
	}
	pool, sum, err := loadAuthorities(o.Path)
	if err != nil {
		return nil, err
	}
	a.seen, a.tried = sum, sum
	a.pool.Store(pool)
	return a, nil
}

// CheckAuthorities returns what would keep [OpenAuthorities] from loading the file.
func CheckAuthorities(path string) error {
	_, _, err := loadAuthorities(path)
	return err
}

// loadAuthorities returns with them a sum by which another content of the file, or
// another reason why it cannot be read, is told.
func loadAuthorities(path string) (*x509.CertPool, [sha256.Size]byte, error) {
	data, err := read(path)
	sum := sha256.Sum256(data)
	var pool *x509.CertPool
	if err != nil {
		sum = sha256.Sum256([]byte(err.Error()))
	} else {
		pool, err = parseAuthorities(data)
	}
	if err != nil {
		return nil, sum, fmt.Errorf("read authorities of clients %s: %w", path, err)
	}
	return pool, sum, nil
}

// Pool is nil where there is no file: then nobody is asked for a certificate.
func (a *Authorities) Pool() *x509.CertPool { return a.pool.Load() }

// Watch looks after the file until ctx ends.
func (a *Authorities) Watch(ctx context.Context) {
	if a.options.Path == "" {
		return
	}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			a.look()
		}
	}
}

// look takes the file if it has settled and is another than the one tried last.
func (a *Authorities) look() {
	pool, sum, err := loadAuthorities(a.options.Path)
	settled := sum == a.seen
	a.seen = sum
	if !settled || sum == a.tried {
		return
	}
	a.tried = sum
	a.refused.Store(err != nil)
	if err != nil {
		a.options.Logger.Warn().Err(err).Msg("the authorities of clients were changed and cannot be loaded; those before them are gone by")
		return
	}
	a.pool.Store(pool)
	a.options.Logger.Info().Str("file", a.options.Path).Msg("authorities of clients loaded")
}

// parseAuthorities wants every certificate of the file sound: one that is left out
// would lock its clients out.
func parseAuthorities(data []byte) (*x509.CertPool, error) {
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("it is larger than %d bytes", maxFileBytes)
	}
	pool, found := x509.NewCertPool(), 0
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		found++
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("its certificate number %d is damaged: %w", found, err)
		}
		pool.AddCert(certificate)
	}
	switch begun := bytes.Count(data, []byte("-----BEGIN CERTIFICATE-----")); {
	case begun != found:
		return nil, fmt.Errorf("%d of its %d certificates are no PEM", begun-found, begun)
	case found == 0:
		return nil, errors.New("it holds no certificate in PEM form")
	}
	return pool, nil
}
