package reach

import (
	"net/netip"
	"testing"
)

func TestOwn(t *testing.T) {
	for text, want := range map[string]struct{ own, shared bool }{
		"127.0.0.2": {true, false}, "::1": {true, false}, "::": {true, false}, "0.0.0.0": {true, false},
		"169.254.169.254": {true, false}, "169.254.170.2": {true, false}, "fe80::1%eth0": {true, false}, "::ffff:127.0.0.1": {true, false},
		"fd00:ec2::254": {true, false}, "fd20:ce::254": {true, false}, "168.63.129.16": {true, false}, "192.0.0.192": {true, false},
		"100.100.100.200": {true, true}, "64:ff9b::a9fe:a9fe": {true, false}, "64:ff9b::7f00:1": {true, false}, "64:ff9b::6464:64c8": {true, true},
		"224.0.0.1": {true, false}, "100.64.0.1": {false, true}, "100.127.255.255": {false, true}, "64:ff9b::6440:1": {false, true},
		"100.128.0.1": {}, "10.0.0.1": {}, "192.168.1.1": {}, "8.8.8.8": {}, "fd00::1": {}, "64:ff9b::808:808": {}, "2001:db8::1": {},
	} {
		ip := netip.MustParseAddr(text)
		if Own(ip) != want.own || Shared(ip) != want.shared {
			t.Errorf("%s: own %v, shared %v", text, Own(ip), Shared(ip))
		}
	}
}
