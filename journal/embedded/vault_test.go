package embedded

import (
	"testing"

	"audiences/audience"
)

// TestVaultStays: what an earlier version wrote with a key is known and read by this
// one (I8): the check in the FORMAT file, and a tenant's record.
func TestVaultStays(t *testing.T) {
	var key [keyLength]byte
	for i := range key {
		key[i] = byte(i)
	}
	v := newVault(key)
	if want := "fe231fe431d5824bc7a2e0dd99a47060"; v.check != want {
		t.Errorf("the check of the key is %s, want %s", v.check, want)
	}
	who := tenant("a")
	if read, err := v.open(who.ID, v.seal(who)); err != nil || read.Token != who.Token {
		t.Errorf("%v", err)
	}
	other := audience.TenantID{1}
	if _, err := v.open(other, v.seal(who)); err == nil {
		t.Error("a record is taken for another tenant's")
	}
}
