package keyfile

import "errors"

// ErrUnsupported marks a file that is in order, but of a form that cannot be read
// here. Its text names the form and ends with one command that converts it, with
// OLD and NEW in place of the two files; the end-to-end tests run these commands
// and serve what comes of them.
var ErrUnsupported = errors.New("unsupported form")

const (
	openssl       = "openssl pkcs12 -in OLD -out NEW -nodes"
	opensslLegacy = "openssl pkcs12 -legacy -in OLD -out NEW -nodes"
	opensslExport = "openssl pkcs12 -export -in OLD -out NEW"
	keytoolJCEKS  = "keytool -importkeystore -srckeystore OLD -srcstoretype JCEKS -destkeystore NEW -deststoretype PKCS12"
	// At its prompt, and in the C locale, keytool cannot take the password that
	// this one is for.
	keytoolJKS = "LC_ALL=C.UTF-8 keytool -importkeystore -srckeystore OLD -srcstorepass:env AUDIENCES_KEY_PASSWORD -destkeystore NEW -deststoretype PKCS12"
)

// unsupported is an error of that kind.
type unsupported struct{ form, command string }

func (u unsupported) Error() string {
	return u.form + ", which is not supported; convert it with: " + u.command
}

func (u unsupported) Is(target error) bool { return target == ErrUnsupported }

// convertPKCS12 is for what openssl reads. The new file is PEM; openssl makes it
// readable for its owner alone.
func convertPKCS12(form string) error { return unsupported{form, openssl} }
