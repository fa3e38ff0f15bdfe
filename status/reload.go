package status

// Reload is what came of a configuration that was read again: keys, never their values.
type Reload struct {
	Taken       []string `json:"taken"`       // other values, which count from now on
	NeedRestart []string `json:"needRestart"` // other values than those that the relay runs by
	Warnings    []string `json:"warnings"`    // of the configuration that were not there before
}

// ConfigurationFault is why a configuration that was read again was not taken.
type ConfigurationFault struct{ Err error }

func (f *ConfigurationFault) Error() string {
	return "the configuration has a fault, all stays as it was: " + f.Err.Error()
}

func (f *ConfigurationFault) Unwrap() error { return f.Err }
