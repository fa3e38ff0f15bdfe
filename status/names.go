package status

// Title is what a tenant is called: by the name that people know, with the fingerprint
// behind it, or by the fingerprint alone.
func Title(fingerprint, name string) string {
	if name == "" {
		return fingerprint
	}
	return name + " (" + fingerprint + ")"
}
