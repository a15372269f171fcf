# SPDX-License-Identifier: Apache-2.0
# For closed.sh and tests/kernels/late.sh: a host whose bridge comes late, and one behind its port that is trusted by one address of each family
# and uninvited by the other.

trusted_addresses="203.0.113.1 2001:db8:113::1"
uninvited_addresses="192.0.2.66 2001:db8:66::66"

# The other host: network namespace `stranger`, at the port of the bridge that is not there yet.
make_stranger() {
  ip netns add stranger
  ip link add port0 type veth peer name eth0 netns stranger
  ip -n stranger link set lo up
  ip -n stranger address add 192.0.2.66/32 dev lo
  ip -n stranger address add 2001:db8:66::66/128 dev lo nodad
  ip -n stranger address add 203.0.113.1/24 dev eth0
  ip -n stranger address add 2001:db8:113::1/64 dev eth0 nodad
  ip -n stranger link set eth0 up
  ip netns exec stranger ethtool -K eth0 tx off >/dev/null
}

# As a network's own service does.
make_bridge() {
  ip link add br0 type bridge
  ip link set port0 master br0 up
  ip address add 203.0.113.10/24 dev br0
  ip address add 2001:db8:113::10/64 dev br0 nodad
  ip link set br0 up
  ip route replace default via 203.0.113.1
  ip -6 route replace default via 2001:db8:113::1
}

# tries_from ADDRESS PORT SECONDS: fetches a page of this host's.
tries_from() {
  case $1 in *:*) url="http://[2001:db8:113::10]:$2/" ;; *) url="http://203.0.113.10:$2/" ;; esac
  ip netns exec stranger curl --silent --show-error --interface "$1" --max-time "$3" --output /dev/null "$url"
}
