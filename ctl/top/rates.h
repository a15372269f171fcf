// SPDX-License-Identifier: Apache-2.0
// The rates of trapctl top: two samples of the parts' counters become rates, service by service.
// Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace trap::ctl {

// Packets of a service at an address. Without a name: a part's packets that are no service's.
struct ServiceCounters {
  std::string part;
  std::string service;
  std::string address;
  std::string state;                            // "active", "resting", or empty
  std::string note;                             // of the part, where it is no service's
  std::map<std::string, std::uint64_t> packets; // by verdict
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
};

struct Sample {
  double at_s = 0; // on any clock that does not jump
  std::vector<ServiceCounters> services;
};

// A number of the table: packets a second, of these verdicts together.
struct Column {
  const char* key;   // in JSON
  const char* title; // for people
  std::vector<const char*> verdicts;
};

// A server's, a guard's or a client's, from left to right; the last of each is "dropped", which
// sums all verdicts drop-*.
const std::vector<Column>& columns_of(const std::string& part);

struct ServiceRates {
  ServiceCounters last;
  std::vector<double> per_s; // as columns_of(part)
  double bytes_in_per_s = 0;
  double bytes_out_per_s = 0;
  std::vector<std::pair<std::string, double>> drops; // verdicts with a rate, the greatest first
};

// `parts`: what each part's GET /status answers.
Sample read_sample(const std::vector<nlohmann::ordered_json>& parts, double at_s);

// One for each service of `later`. A counter that has become smaller began again from zero; one
// that was not there is no rate yet.
std::vector<ServiceRates> rates_between(const Sample& earlier, const Sample& later);

} // namespace trap::ctl
