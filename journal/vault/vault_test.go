package vault

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
	v := of(key)
	if want := "fe231fe431d5824bc7a2e0dd99a47060"; v.Check() != want {
		t.Errorf("the check of the key is %s, want %s", v.Check(), want)
	}
	who := tenant(t)
	if read, err := v.Open(who.ID, v.Seal(who)); err != nil || read.Token != who.Token {
		t.Errorf("%v", err)
	}
	other := audience.TenantID{1}
	if _, err := v.Open(other, v.Seal(who)); err == nil {
		t.Error("a record is taken for another tenant's")
	}
}

func tenant(t testing.TB) audience.Tenant {
	t.Helper()
	token, err := audience.ParseToken("secret-api-token")
	if err != nil {
		t.Fatal(err)
	}
	return audience.NewTenant(token)
}

func FuzzOpen(f *testing.F) {
	v := of([keyLength]byte{1})
	f.Add([]byte{2})
	f.Add(v.Seal(tenant(f)))
	f.Fuzz(func(t *testing.T, record []byte) {
		if _, err := v.Open(audience.TenantID{1}, record); err == nil {
			t.Error("a record opens for a tenant that it was not made for")
		}
	})
}
