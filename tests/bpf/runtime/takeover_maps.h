/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and values of the maps of two made-up versions, which takeover_test.cpp has take over from
 * each other. */
#pragma once

#include <linux/types.h>

struct earlier_part {
  __u32 first;
  __u32 second;
};

struct earlier_value {
  __u64 kept;
  __u32 moves;
  __u32 gone;
  struct earlier_part part;
  struct earlier_part whole;
  __u32 reserved;
};

struct earlier_entry {
  __u32 first;
  __u32 second;
};

struct later_entry {
  __u64 fresh;
  __u32 second;
  __u32 first;
};

struct later_bucket {
  struct earlier_part keys[2];
  struct later_entry entries[2];
};

struct later_part {
  __u32 first;
  __u64 second; /* wider: the two would not fit each other */
};

struct later_value {
  union {
    __u32 moves;
    __u32 other_name;
  };
  __u32 fresh;
  __u64 kept;
  struct later_part part;
  struct earlier_part whole;
};
