/* SPDX-License-Identifier: Apache-2.0 */
/* Proves the arithmetic of tickets, epochs, cookie windows and token buckets by trying everything:
 * each function of the headers against its sentence in docs/protocol.md, in numbers that cannot
 * overflow. Exit code 0 if all agree. */
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/token_bucket.h"
#include "protocol/clock.h"
#include "protocol/cookie.h"
#include "protocol/keyring.h"
#include "protocol/ticket.h"

typedef long long number;

static void fail(const char* what, number a, number b, number c) {
  printf("not ok %s: %lld, %lld, %lld\n", what, a, b, c);
  exit(1);
}

static number floor_of(number a, number b) {
  return a / b - (a % b < 0);
}

/* Section 8: (expiry - t) mod 2^16 as a signed number, in 1 - floor(s / 4) to 1024 + ceil(s / 4).
 */
static int is_live(number expiry, number t, number skew) {
  number left = ((expiry - t) % 65536 + 65536) % 65536;

  if (left >= 32768)
    left -= 65536;
  return left >= 1 - floor_of(skew, 4) && left <= 1024 + floor_of(skew + 3, 4);
}

static void ticket_life(number unix_s, number expiry, number skew) {
  struct trap_ticket ticket = {.expiry = TRAP_BE16((__u16)expiry)};

  if (trap_ticket_is_live(&ticket, (__u32)unix_s, (__u32)skew) !=
      is_live(expiry, unix_s / 4 % 65536, skew))
    fail("ticket_is_live", unix_s, expiry, skew);
}

/* Every expiry at every ticket time, and every distance with every skew that can be configured. */
static void prove_tickets(void) {
  for (number t = 0; t < 65536; t++) {
    for (number expiry = 0; expiry < 65536; expiry++)
      ticket_life(1800000000 / 262144 * 262144 + t * 4 + t % 4, expiry, 5);
  }
  for (number skew = 0; skew <= 3600; skew++) {
    for (number expiry = 0; expiry < 65536; expiry++)
      ticket_life(1800000000 + skew, expiry, skew);
  }
  puts("ok tickets: 65536 times of 65536 expiries, 3601 skews of 65536 distances");
}

/* Section 9: issued not after now, lifetime in bounds, and not over, by skew either way. Second by
 * second around each bound. */
static void prove_announcements(void) {
  number tried = 0;

  for (number now = 1800000000; now < 4294960000; now += 622740000) {
    for (number skew = 0; skew <= 3600; skew += skew < 8 ? 1 : 449) {
      for (number life = 0; life <= TRAP_LIFETIME_MAX_S + 2; life++) {
        for (number edge = -2; edge <= 2; edge++) {
          number issued[] = {now + skew + edge, now - life - skew + edge, now + edge};

          for (int i = 0; i < 3; i++, tried++) {
            int wanted = issued[i] <= now + skew && life >= 1 && life <= TRAP_LIFETIME_MAX_S &&
                         issued[i] + life + skew > now;

            if (trap_announce_is_live((__u32)issued[i], (__u32)life, (__u32)now, (__u32)skew) !=
                wanted)
              fail("announce_is_live", issued[i], life, skew);
          }
        }
      }
    }
  }
  printf("ok announcements: %lld\n", tried);
}

/* The epoch whose low byte this is, if it is the previous, the present or the next one. */
static void prove_epochs(void) {
  for (number present = 400000; present < 400000 + 65536; present++) {
    for (number byte = 0; byte < 256; byte++) {
      number wanted = 0;

      for (number epoch = present - 1; epoch <= present + 1; epoch++)
        wanted = epoch % 256 == byte ? epoch : wanted;
      if ((number)trap_epoch_from_byte((__u64)present, (__u8)byte) != wanted)
        fail("epoch_from_byte", present, byte, wanted);
    }
  }
  puts("ok epochs: 65536 of 256 bytes");
}

/* The window that a cookie's lowest bit stands for: the present or the previous one. */
static void prove_windows(void) {
  for (number present = 1; present < 1 << 24; present++) {
    for (number bit = 0; bit < 2; bit++) {
      number wanted = present % 2 == bit ? present : present - 1;

      if ((number)trap_cookie_window_of((__u32)bit, (__u32)present) != wanted)
        fail("cookie_window_of", present, bit, wanted);
    }
  }
  puts("ok cookie windows: 16777215 of 2 bits");
}

/* A bucket's only state is how far it is from full. Every such state, rate, price and wait: tokens
 * are given if and only if they are there, cost their price, and come back by the clock alone. So
 * by induction no series of takes gets more than the burst and a token for each token_ns. */
static void take(number base, number token, number burst, number debt, number tokens) {
  struct trap_rate rate = {.token_ns = (__u64)token, .burst_ns = (__u64)burst, .chunk = 1};
  struct trap_bucket bucket = {.full_at_ns = (__u64)(base + debt)};
  number owed = debt > 0 ? debt : 0, price = token * tokens;
  int there = token == 0 || owed + price <= burst;

  if (trap_bucket_has(&bucket, &rate, (__u64)base, (__u32)tokens) != there)
    fail("bucket_has", debt, token, tokens);
  if (trap_bucket_take(&bucket, &rate, (__u64)base, (__u32)tokens) != there)
    fail("bucket_take", debt, token, tokens);
  if ((number)bucket.full_at_ns != base + (there && token ? owed + price : debt))
    fail("bucket after take", debt, token, tokens);
}

static void prove_buckets(void) {
  const number bases[] = {64, 1LL << 40, (1LL << 62) - 5};
  number tried = 0;

  for (int i = 0; i < 3; i++) {
    for (number token = 0; token <= 9; token++) {
      for (number burst = token; burst <= 40; burst++) {
        for (number debt = -40; debt <= burst; debt++) {
          for (number tokens = 0; tokens <= 6; tokens++, tried++)
            take(bases[i], token, burst, debt, tokens);
        }
      }
    }
  }
  for (number token = 1; token < 1LL << 43; token *= 3) { /* of an hour and more */
    for (number tokens = 1; tokens < 1 << 16; tokens *= 2, tried++)
      take(1LL << 60, token, token * tokens, 0, tokens);
  }
  printf("ok token buckets: %lld states and takes\n", tried);
}

int main(void) {
  prove_tickets();
  prove_announcements();
  prove_epochs();
  prove_windows();
  prove_buckets();
  return 0;
}
