// SPDX-License-Identifier: Apache-2.0
// GET /metrics: the text of families, the series of a part's verdicts.
#include "runtime/control/metrics.h"

#include <gmock/gmock.h>

#include <regex>
#include <set>

#include "runtime/control/metrics_common.h"
#include "runtime/control/shared_answers.h"
#include "runtime/keys/clock_writer.h"
#include "runtime/verdict_text.h"

namespace trap::test {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Metrics, families_in_the_order_they_were_made_each_with_help_and_type_once) {
  Metrics metrics;
  metrics.counter("trap_b_total", "Bs", {{"part", "server"}, {"service", "web"}}, 3);
  metrics.gauge("trap_a", "As", {}, -1);
  metrics.counter("trap_b_total", "Bs", {{"part", "guard"}}, 12345678901);
  EXPECT_EQ(
      metrics.text(),
      "# HELP trap_b_total Bs\n# TYPE trap_b_total counter\n"
      "trap_b_total{part=\"server\",service=\"web\"} 3\ntrap_b_total{part=\"guard\"} 12345678901\n"
      "# HELP trap_a As\n# TYPE trap_a gauge\ntrap_a -1\n");
}

TEST(Metrics, go_out_as_open_metrics_to_who_accepts_them) {
  Metrics metrics;
  metrics.counter("trap_b_total", "Bs", {{"part", "server"}}, 3);
  metrics.gauge("trap_a", "As", {}, -1);
  HttpRequest request =
      read_http_request("GET /metrics HTTP/1.1\r\nAccept: text/plain\r\n\r\n", {}).request;
  EXPECT_EQ(answer_metrics(metrics.text(), request).body, metrics.text());
  EXPECT_THAT(answer_metrics(metrics.text(), request).type, HasSubstr("version=0.0.4"));
  request = read_http_request("GET /metrics HTTP/1.1\r\naccept: application/openmetrics-text;"
                              "version=1.0.0,text/plain;q=0.2\r\n\r\n",
                              {})
                .request;
  EXPECT_THAT(answer_metrics(metrics.text(), request).type, HasSubstr("openmetrics-text"));
  EXPECT_EQ(answer_metrics(metrics.text(), request).body,
            "# HELP trap_b Bs\n# TYPE trap_b counter\ntrap_b_total{part=\"server\"} 3\n"
            "# HELP trap_a As\n# TYPE trap_a gauge\ntrap_a -1\n# EOF\n");
}

TEST(Metrics, a_label_that_is_no_utf8_does_not_spoil_the_others) {
  Metrics metrics;
  metrics.gauge("trap_a", "As", {{"interface", "\xff\xc3x\xc3\xb6\x1b"}}, 1);
  EXPECT_THAT(metrics.text(), HasSubstr("{interface=\"\\\\xff\\\\xc3x\xc3\xb6\x1b\"}"));
}

TEST(Metrics, labels_are_escaped) {
  Metrics metrics;
  metrics.gauge("trap_a", "As", {{"path", "a\"b\\c\nd"}}, 1);
  EXPECT_THAT(metrics.text(), HasSubstr(R"({path="a\"b\\c\nd"})"));
}

TEST(Metrics, packets_and_bytes_of_a_service) {
  VerdictCounts counts = {};
  counts[TRAP_REPLY_SYN_ACK] = {7, 700, 770};
  counts[TRAP_DROP_RST] = {2, 120, 0};
  Metrics metrics;
  measure_packets(metrics, {"server", "web", "203.0.113.10:80"}, counts);
  const std::string text = metrics.text();
  const std::string whose = R"({part="server",service="web",address="203.0.113.10:80",)";
  EXPECT_THAT(text, HasSubstr("trap_packets_total" + whose +
                              "verdict=\"reply-syn-ack\",action=\"reply\"} 7\n"));
  EXPECT_THAT(
      text, HasSubstr("trap_packets_total" + whose + "verdict=\"drop-rst\",action=\"drop\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("trap_packets_total" + whose +
                              "verdict=\"pass-cookie\",action=\"pass\"} 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("pass-ticket"))); // a guard's
  EXPECT_THAT(text, HasSubstr("trap_bytes_total" + whose + "direction=\"in\"} 820\n"));
  EXPECT_THAT(text, HasSubstr("trap_bytes_total" + whose + "direction=\"out\"} 770\n"));
}

TEST(Metrics, a_verdict_that_a_part_cannot_give_is_told_if_it_was_counted) {
  VerdictCounts counts = {};
  counts[TRAP_PASS_TICKET].packets = 1;
  Metrics metrics;
  measure_packets(metrics, {"server", "", ""}, counts);
  EXPECT_THAT(metrics.text(), HasSubstr("verdict=\"pass-ticket\",action=\"pass\"} 1\n"));
  EXPECT_THAT(metrics.text(), Not(HasSubstr("reply-syn-ack"))); // needs a service
}

// The verdicts in the text of a part's trap_packets_total, or of another counter.
std::set<std::string> verdicts_in(const std::string& text, const std::string& family) {
  std::set<std::string> found;
  const std::regex series(family + R"(\{[^}]*verdict="([a-z-]+)\")");
  for (std::sregex_iterator at(text.begin(), text.end(), series), end; at != end; ++at)
    found.insert((*at)[1]);
  return found;
}

// Those of the table whose parts include this one; without a service those that need none.
std::set<std::string> verdicts_of(trap_parts part, bool of_service, bool drops_only) {
  std::set<std::string> found;
  for (int number = 0; number < TRAP_VERDICT_COUNT; number++) {
    const auto verdict = static_cast<trap_verdict>(number);
    if ((trap_verdict_parts(verdict) & part) == 0 ||
        (!of_service && trap_verdict_about(verdict) == TRAP_ABOUT_SERVICE) ||
        (drops_only && trap_verdict_action(verdict) != TRAP_ACTION_DROP))
      continue;
    found.insert(verdict_name(number));
  }
  return found;
}

TEST(Metrics, a_part_lists_exactly_its_verdicts) {
  const std::pair<const char*, trap_parts> parts[] = {
      {"server", TRAP_PARTS_SERVER}, {"guard", TRAP_PARTS_GUARD}, {"client", TRAP_PARTS_CLIENT}};
  for (const auto& [name, bit] : parts) {
    for (const char* service : {"", "web"}) {
      Metrics metrics;
      measure_packets(metrics, {name, service, ""}, {});
      measure_monitored(metrics, {name, service, ""}, {});
      const bool of_service = *service != '\0';
      EXPECT_EQ(verdicts_in(metrics.text(), "trap_packets_total"),
                verdicts_of(bit, of_service, false))
          << name << ' ' << service;
      EXPECT_EQ(verdicts_in(metrics.text(), "trap_monitored_packets_total"),
                verdicts_of(bit, of_service, true))
          << name << ' ' << service;
    }
    EXPECT_TRUE(verdicts_of(bit, false, false).contains("pass-other"));
  }
}

TEST(Metrics, every_verdict_is_some_parts) {
  for (int verdict = 0; verdict < TRAP_VERDICT_COUNT; verdict++)
    EXPECT_TRUE(can_give("server", verdict) || can_give("guard", verdict) ||
                can_give("client", verdict))
        << verdict_name(verdict);
}

// A client has no services, so that nothing it counts may need one.
TEST(Metrics, a_client_needs_no_service) {
  EXPECT_EQ(verdicts_of(TRAP_PARTS_CLIENT, false, false),
            verdicts_of(TRAP_PARTS_CLIENT, true, false));
}

TEST(Metrics, epochs_ahead_count_from_the_present_one_without_a_gap) {
  constexpr std::uint64_t now = 400000;
  trap_keyring ring = {};
  auto ahead = [&ring] {
    Metrics metrics;
    measure_keys(metrics, "guard", ring, now);
    const std::string text = metrics.text();
    const std::string name = "\ntrap_epochs_ahead{part=\"guard\"} ";
    return text.substr(text.find(name) + name.size());
  };
  EXPECT_EQ(ahead(), "-1\n");
  rotate_keyring(ring, now, [](std::uint64_t epoch) { return trap_key_make(epoch, epoch); });
  EXPECT_EQ(ahead(), "6\n");
  ring.slots[(now + 3) & (TRAP_KEYRING_SLOTS - 1)].epoch = 0;
  EXPECT_EQ(ahead(), "2\n");
}

} // namespace
} // namespace trap::test
