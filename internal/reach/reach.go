// Package reach says which addresses are no place for others to lead to.
package reach

import (
	"net/netip"
	"slices"
)

// metadata lists the addresses where clouds answer a machine with its credentials, beside
// those of the link (169.254.169.254): AWS and Google by IPv6, Alibaba, Azure, Oracle.
func metadata() []netip.Addr {
	return []netip.Addr{
		netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("fd20:ce::254"), netip.MustParseAddr("100.100.100.200"),
		netip.MustParseAddr("168.63.129.16"), netip.MustParseAddr("192.0.0.192"),
	}
}

// nat64 is the prefix of IPv4 addresses in IPv6 ones (RFC 6052).
func nat64() netip.Prefix { return netip.MustParsePrefix("64:ff9b::/96") }

// shared is between a provider and its customers (RFC 6598).
func shared() netip.Prefix { return netip.MustParsePrefix("100.64.0.0/10") }

// Own says that an address means this machine, its link, or the services of its cloud:
// whoever names it without being asked means somebody else's.
func Own(ip netip.Addr) bool {
	ip = inner(ip)
	return ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast() || slices.Contains(metadata(), ip)
}

// Shared says that an address lies in the range of a provider, where clouds have services
// of their own.
func Shared(ip netip.Addr) bool { return shared().Contains(inner(ip)) }

// inner is the IPv4 address that an IPv6 one stands for, or the address itself.
func inner(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	if nat64().Contains(ip) {
		all := ip.As16()
		return netip.AddrFrom4([4]byte(all[12:]))
	}
	return ip
}
