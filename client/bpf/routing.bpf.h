/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Asks where the kernel would lead this connect, if its application dialled the backend. A redirect
 * is not to go round rules and routes that an administrator has made for some users, marks or
 * prefixes. Goes through this host's rules as the kernel does (fib_rules_lookup). */
#pragma once

#include "client/bpf/scratch.bpf.h"
#include "client/bpf/trust.bpf.h"

enum next_hop {
  TRAP_HOP_UNKNOWN,
  TRAP_HOP_SAME,
  TRAP_HOP_OTHER,
};

/* The walk through the rules for memory->tuple: to its remote end, or to the backend of
 * memory->outward. */
struct routing_walk {
  __u32 set, is_ipv6;
  __u32 in; /* the interface that the packet comes in by, as the rules see it */
  __u32 is_forwarded;
  __u32 to_backend;
  __u32 priority; /* no rule before this one */
};

static __always_inline int is_within(const union trap_address* address,
                                     const union trap_address* prefix, __u32 bits) {
  return !((address->raw64[0] ^ prefix->raw64[0]) & trap_mask_half(bits > 64 ? 64 : bits)) &&
         !((address->raw64[1] ^ prefix->raw64[1]) & trap_mask_half(bits > 64 ? bits - 64 : 0));
}

/* Do all that the rule asks for hold? */
static __always_inline int selects(const struct trap_rule* rule, const struct scratch* memory,
                                   const struct routing_walk* walk) {
  const struct way* way = &memory->way;
  const union trap_address* remote =
      walk->to_backend ? &memory->outward.backend : &memory->tuple.remote;
  __u16 local_port = TRAP_FROM_BE16(memory->tuple.local_port);
  __u16 port = TRAP_FROM_BE16(walk->to_backend ? memory->outward.port : memory->tuple.remote_port);

  return is_within(&memory->tuple.local, &rule->from, rule->from_bits) &&
         is_within(remote, &rule->to, rule->to_bits) && !((way->mark ^ rule->mark) & rule->mask) &&
         (!rule->in || rule->in == walk->in) && (!rule->out || rule->out == way->bound) &&
         way->user >= rule->user_first && way->user <= rule->user_last &&
         local_port >= rule->local_port_first && local_port <= rule->local_port_last &&
         port >= rule->port_first && port <= rule->port_last &&
         (!(rule->flags & TRAP_RULE_BY_DSCP) || rule->dscp == (way->traffic_class & 0xfc));
}

/* What the rule does with the packet. Marks of forwarded packets come behind the hook. */
TRAP_GLOBAL_FUNCTION int judge_rule(const struct trap_rule* rule, const struct routing_walk* walk) {
  struct scratch* memory = find_scratch();

  if (!memory || !rule || !walk)
    return TRAP_RULE_UNKNOWN;
  if (rule->action == TRAP_RULE_NONE)
    return TRAP_RULE_NONE;
  if (rule->mask && walk->is_forwarded)
    return TRAP_RULE_UNKNOWN;
  if (selects(rule, memory, walk) == !!(rule->flags & TRAP_RULE_INVERTED))
    return TRAP_RULE_MISSES;
  return rule->action;
}

/* Notes where the route leads the packet on its link. Of a rule for some users or ports that is of
 * no use: the kernel's helper for neighbours goes by neither (bpf_redirect_neigh). */
static __always_inline void note_next_hop(struct scratch* memory, const struct trap_rule* rule,
                                          const struct trap_route* route, __u32 to_backend) {
  struct next_hop_address* hop = &memory->next_hops[!!to_backend];

  hop->known = route->next_hop != TRAP_ROUTE_HOP_UNKNOWN && !rule->user_first &&
               rule->user_last == 0xffffffff && !rule->local_port_first &&
               rule->local_port_last == 0xffff && !rule->port_first && rule->port_last == 0xffff;
  hop->address = route->next_hop == TRAP_ROUTE_HOP_GATEWAY ? route->gateway
                 : to_backend                              ? memory->outward.backend
                                                           : memory->tuple.remote;
}

/* The way that the rule's table has, TRAP_WAY_NEXT_RULE if none. */
TRAP_GLOBAL_FUNCTION int look_up_route(const struct trap_rule* rule,
                                       const struct routing_walk* walk) {
  struct scratch* memory = find_scratch();
  const struct trap_route* route;

  if (!memory || !rule || !walk)
    return TRAP_WAY_UNKNOWN;
  memory->trust.bits = 32 + 128;
  memory->trust.of = trap_routing_table(walk->set, rule->table);
  memory->trust.prefix = walk->to_backend ? memory->outward.backend : memory->tuple.remote;
  route = bpf_map_lookup_elem(&routes, &memory->trust);
  if (!route || route->bits < rule->shortest_bits)
    return (int)TRAP_WAY_NEXT_RULE;
  note_next_hop(memory, rule, route, walk->to_backend);
  return (int)route->way;
}

/* The interface that the kernel would choose, or a TRAP_WAY_*. */
TRAP_GLOBAL_FUNCTION int find_route(__u32 family, __u32 in, __u32 to_backend) {
  const struct trap_client_settings* set = client_settings();
  struct routing_walk walk = {.in = in, .to_backend = to_backend};
  struct scratch* memory = find_scratch();
  __u32 i = 0;

  if (!set || !memory || !set->routing)
    return TRAP_WAY_UNKNOWN;
  walk.set = set->routing;
  walk.is_ipv6 = family == TRAP_IPV6;
  walk.is_forwarded = memory->packet_context.side == TRAP_SIDE_LAN;
  do {
    __u32 place = trap_rule_place(walk.set, walk.is_ipv6, i);
    const struct trap_rule* rule = bpf_map_lookup_elem(&rules, &place);
    int action, way;

    if (!rule)
      return TRAP_WAY_UNKNOWN;
    i++;
    TRAP_HOLD(i);
    if (rule->action != TRAP_RULE_NONE && rule->priority < walk.priority)
      continue;
    action = judge_rule(rule, &walk);
    if (action == TRAP_RULE_UNKNOWN)
      return TRAP_WAY_UNKNOWN;
    if (action == TRAP_RULE_NONE || action == TRAP_RULE_REFUSES)
      return (int)TRAP_WAY_REFUSED;
    if (action == TRAP_RULE_GOES_ON)
      walk.priority = rule->next_priority;
    if (action != TRAP_RULE_LOOKS_UP)
      continue;
    way = look_up_route(rule, &walk);
    if (way != (int)TRAP_WAY_NEXT_RULE)
      return way;
  } while (i < TRAP_CLIENT_MAX_RULES);
  return (int)TRAP_WAY_REFUSED;
}

#define TRAP_LOOPBACK 1 /* by which packets of the host's own come in, as rules see them */

/* Of the SYN's own way and that to the backend of memory->outward, as is_led_elsewhere() found
 * them: an enum next_hop. */
static __always_inline int compare_routes(const struct scratch* memory) {
  const struct next_hop_address* hops = memory->next_hops;

  if (!hops[0].known || !hops[1].known)
    return TRAP_HOP_UNKNOWN;
  return trap_address_equal(&hops[0].address, &hops[1].address) ? TRAP_HOP_SAME : TRAP_HOP_OTHER;
}

/* Does the host's routing lead the connect of memory->tuple, whose SYN went the way memory->way,
 * elsewhere than that way if it goes to the backend of memory->outward? Where the rules do not
 * explain the SYN's own way, they cannot tell. A packet from a LAN is routed after the hook: it is
 * only to have a route. */
TRAP_GLOBAL_FUNCTION int is_led_elsewhere(__u32 family) {
  struct scratch* memory = find_scratch();
  __u32 way, taken;

  if (!memory)
    return 0;
  __builtin_memset(memory->next_hops, 0, sizeof(memory->next_hops));
  taken = memory->way.ifindex;
  if (memory->packet_context.side == TRAP_SIDE_LAN)
    return (__u32)find_route(family, taken, 1) == TRAP_WAY_REFUSED;
  if ((__u32)find_route(family, TRAP_LOOPBACK, 0) != taken) {
    memory->next_hops[0].known = 0;
    return 0;
  }
  way = find_route(family, TRAP_LOOPBACK, 1);
  if (way != taken)
    memory->next_hops[1].known = 0;
  if (way == TRAP_WAY_REFUSED || way == TRAP_WAY_LOCAL)
    return 1;
  return way != TRAP_WAY_UNKNOWN && way != taken && !memory->way.bound;
}
