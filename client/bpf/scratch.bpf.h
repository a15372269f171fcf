/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Memory of a packet's walk beside the 512 bytes of a BPF stack. Nothing in it outlives a packet.
 * No hook of ours interrupts another, but for a copy that one sends: it passes as it is. */
#pragma once

#include "client/bpf/packet_context.bpf.h"

/* A packet under construction. */
struct outgoing {
  union trap_address source;
  union trap_address destination;
  __u8 traffic_class;
  __u8 hop_limit;
  __u8 family;
  __u8 option_bytes; /* whole words, 0 to 40 */
  __u32 ifindex;     /* to send it by, with these Ethernet addresses; 0: where it came in */
  __u32 mark;
  __u8 ethernet[2 * ETH_ALEN];
  __u32 is_to_be_routed; /* has another next hop */
  union {
    struct iphdr ipv4;
    struct ipv6hdr ipv6;
  } ip; /* made from the above when it is sent */
  struct {
    struct trap_tcp header; /* data offset and checksum are filled in when it is sent */
    __u32 options[TRAP_TCP_OPTIONS_MAX / 4]; /* zero behind option_bytes */
  } tcp;
};

TRAP_ASSERT(sizeof(((struct outgoing*)0)->tcp) == 60, "a whole TCP header");

/* Of a search for a connection, or for a place on the wire. */
struct search {
  struct trap_tuple tuple; /* on the wire, or as the application knows it */
  struct trap_inward mine, found;
  struct trap_origin_key origin;
  struct trap_outward outward;
  struct bpf_sock_tuple socket;
};

union ticket_block {
  __u8 bytes[TRAP_TICKET_BLOCK_BYTES_EXPERIMENTAL];
  __u32 words[TRAP_TICKET_BLOCK_BYTES_EXPERIMENTAL / 4];
};

/* A redirect whose target is to be judged. */
struct hop {
  union trap_address service, target;
  __be16 service_port, target_port;
};

/* Where a route leads a packet on its link. */
struct next_hop_address {
  union trap_address address;
  __u32 known;
};

/* The way that the kernel has chosen for a SYN, and what its rules may have gone by. */
struct way {
  __u8 next_hop[ETH_ALEN];
  __u8 traffic_class;
  __u8 reserved;
  __u32 ifindex;
  __u32 mark;  /* of the socket, */
  __u32 user;  /* its owner, */
  __u32 bound; /* and its interface; 0: any */
};

struct scratch {
  __u32 is_sending_copy; /* the kernel runs the hooks for it at once, before it returns to us */
  struct packet_context packet_context;
  struct trap_tuple wire;  /* the connection of the packet on its walk: its place on the wire, */
  struct trap_tuple tuple; /* and as its application knows it */
  struct trap_inward inward;
  struct trap_outward outward;
  struct trap_redirect_key key; /* of its service */
  struct way way;
  struct next_hop_address next_hops[2]; /* by the host's routes: to the service, to the backend */
  struct trap_pending syn;              /* to be remembered */
  struct search search;
  struct trap_option_area area;  /* of the packet on its walk */
  __u32 is_signed;               /* of a SYN's options there: TCP-MD5 or TCP-AO is among them, */
  __u32 is_plain;                /* all of them up to the cursor are plain, */
  __u32 plain_bytes;             /* and so many bytes at their begin */
  struct trap_option option;     /* TRAP's in it */
  struct trap_redirect redirect; /* of its REDIRECT */
  struct trap_fallback fallback; /* to be stored */
  union ticket_block ticket;     /* to be appended to a SYN */
  struct trap_trust_key trust;   /* of a question about trust, or about the host's links */
  struct hop hop;
  union trap_address translator; /* its prefix, if the service is behind one, */
  __u32 translator_bits;         /* of so many bits; 0: it is not */
  struct outgoing outgoing;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct scratch);
} scratch SEC(".maps");

/* NULL cannot happen. */
static __always_inline struct scratch* find_scratch(void) {
  __u32 zero = 0;

  return bpf_map_lookup_elem(&scratch, &zero);
}

/* At the beginning of each walk. NULL for a copy that another walk sends. */
static __always_inline struct packet_context* begin_packet(enum trap_framing framing,
                                                           enum trap_side side) {
  struct scratch* memory = find_scratch();

  if (!memory || memory->is_sending_copy)
    return NULL;
  __builtin_memset(&memory->packet_context, 0, sizeof(memory->packet_context));
  memory->packet_context.framing = framing;
  memory->packet_context.side = side;
  memory->packet_context.action = TC_ACT_UNSPEC;
  return &memory->packet_context;
}
