// SPDX-License-Identifier: Apache-2.0
#include "bench/experiments/testbed.h"

#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "bench/harness/greeter.h"
#include "lab/deployment/plain_defences.h"
#include "lab/hosts/counters.h"
#include "lab/hosts/cpus.h"

namespace trap::bench {
namespace {

// One client makes all the connections.
constexpr std::string_view budget =
    "[budget]\nclient_handshakes_per_s = 1000000\nnetwork_handshakes_per_s = 1000000\n";

lab::DeploymentPlan plan_of_testbed() {
  lab::DeploymentPlan plan;
  plan.guards_trust = true;
  plan.server_keys = budget;
  return plan;
}

void add(lab::Counters& all, const std::string& prefix, const lab::Counters& some) {
  for (const auto& [name, count] : some)
    all[prefix + name] = count;
}

// /proc/net/stat/synproxy: names, then a line of hexadecimal numbers for each CPU. Empty if the
// module was never loaded.
lab::Counters synproxy_counters(const lab::Host& host) {
  const lab::InHost inside{host};
  std::ifstream lines{"/proc/thread-self/net/stat/synproxy"};
  std::string line, name;
  std::vector<std::string> names;
  std::getline(lines, line);
  for (std::istringstream fields{line}; fields >> name;)
    names.push_back(name);
  lab::Counters counters;
  while (std::getline(lines, line)) {
    std::istringstream fields{line};
    std::uint64_t value = 0;
    for (const std::string& of : names)
      if (fields >> std::hex >> value)
        counters[of] += value;
  }
  return counters;
}

} // namespace

// Stopped in reverse order: the daemon needs the service.
class Testbed::Served {
public:
  explicit Served(Testbed& testbed) : testbed_(testbed) {}
  Result<void> start(std::string_view activate) {
    auto service = testbed_.start_plain();
    if (!service)
      return service.error();
    service_ = std::move(*service);
    const auto pinned = lab::Pinned::to(testbed_.cpu());
    if (!pinned)
      return pinned.error();
    auto started = lab::TrapOnPlain::start(testbed_.topology(), std::string{budget}, activate);
    if (!started)
      return started.error();
    trap_ = std::move(*started);
    testbed_.on_plain_ = &trap_->daemon();
    return {};
  }
  ~Served() { testbed_.on_plain_ = nullptr; }
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;

private:
  Testbed& testbed_;
  Held service_;
  std::unique_ptr<lab::TrapOnPlain> trap_;
};

Result<std::unique_ptr<Testbed>> Testbed::build(Serves serves, int cpu) {
  auto topology = lab::Topology::build();
  if (!topology)
    return topology.error();
  std::unique_ptr<Testbed> testbed{new Testbed(serves, cpu, std::move(*topology))};
  if (auto started = testbed->start(); !started)
    return started.error();
  return testbed;
}

Result<void> Testbed::start() {
  const auto pinned = lab::Pinned::to(cpu_);
  if (!pinned)
    return pinned.error();
  auto trap = lab::Deployment::start(topology_, plan_of_testbed());
  if (!trap)
    return trap.error();
  trap_.emplace(std::move(*trap));
  if (serves_ == Serves::greeting) {
    trap_->stop_nginx("service");
    auto greeter = Greeter::start(host("service"), lab::service_port);
    if (!greeter)
      return greeter.error();
    greeter_ = std::move(*greeter);
  }
  auto redirects = lab::Redirects::open(host("client"));
  if (!redirects)
    return redirects.error();
  redirects_.emplace(std::move(*redirects));
  // The kernel reserves part of the backlog for clients whose round-trip time it remembers. Here
  // every client is a newcomer.
  return host("plain").set("ipv4/tcp_no_metrics_save", "1");
}

Result<Held> Testbed::start_plain() const {
  const auto pinned = lab::Pinned::to(cpu_);
  if (!pinned)
    return pinned.error();
  if (serves_ == Serves::greeting) {
    auto greeter = Greeter::start(host("plain"), lab::service_port);
    if (!greeter)
      return greeter.error();
    return Held{std::move(*greeter)};
  }
  auto nginx = lab::Nginx::start(host("plain"), {lab::service_port});
  if (!nginx)
    return nginx.error();
  return Held{std::make_shared<lab::Nginx>(std::move(*nginx))};
}

Result<Held> Testbed::start_trap_on_plain(std::string_view activate) {
  const auto served = std::make_shared<Served>(*this);
  if (auto started = served->start(activate); !started)
    return started.error();
  return Held{served};
}

Result<lab::Counters> Testbed::counters() const {
  const auto reading = trap_->read();
  if (!reading)
    return reading.error();
  lab::Counters all;
  add(all, "server.", reading->server);
  add(all, "guard.", reading->guard);
  add(all, "client.", reading->client);
  const auto stack = lab::stack_counters(host("plain"));
  if (!stack)
    return stack.error();
  add(all, "stack.", *stack);
  add(all, "synproxy.", synproxy_counters(host("plain")));
  if (on_plain_ == nullptr)
    return all;
  const auto served = on_plain_->counters();
  if (!served)
    return served.error();
  add(all, "served.", *served);
  return all;
}

} // namespace trap::bench
