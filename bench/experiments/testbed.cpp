// SPDX-License-Identifier: Apache-2.0
#include "bench/experiments/testbed.h"

#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "bench/harness/greeter.h"
#include "bench/harness/pinned.h"
#include "bench/harness/value_or_throw.h"
#include "lab/hosts/counters.h"

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

std::string served_text() {
  const lab::HostAddresses& plain = lab::addresses_of("plain");
  return fmt::format(
      "xdp_mode = \"native\"\n{}[[service]]\nname = \"web\"\naddresses = [\"{}\", \"{}\"]\n",
      budget, lab::endpoint(plain.ipv4, lab::service_port),
      lab::endpoint(plain.ipv6, lab::service_port));
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
  explicit Served(Testbed& testbed) : testbed_(testbed), service_(testbed.start_plain()) {
    const Pinned pinned{testbed.cpu()};
    value_or_throw(testbed.topology().attach_pass_program("plain"));
    daemon_.emplace(value_or_throw(
        lab::Daemon::prepare(lab::DaemonKind::server, testbed.host("plain"), served_text())));
    value_or_throw(daemon_->start());
    testbed_.on_plain_ = &*daemon_;
  }
  ~Served() {
    testbed_.on_plain_ = nullptr;
    if (daemon_)
      static_cast<void>(daemon_->detach());
    static_cast<void>(testbed_.topology().detach_pass_program("plain"));
  }
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;

private:
  Testbed& testbed_;
  std::shared_ptr<void> service_;
  std::optional<lab::Daemon> daemon_;
};

Testbed::Testbed(Serves serves, int cpu)
    : serves_(serves), cpu_(cpu), topology_(value_or_throw(lab::Topology::build())) {
  const Pinned pinned{cpu};
  trap_.emplace(value_or_throw(lab::Deployment::start(topology_, plan_of_testbed())));
  if (serves == Serves::greeting) {
    trap_->stop_nginx("service");
    greeter_ = std::make_shared<Greeter>(host("service"), lab::service_port);
  }
  redirects_.emplace(host("client"));
  // The kernel reserves part of the backlog for clients whose round-trip time it remembers. Here
  // every client is a newcomer.
  value_or_throw(host("plain").set("ipv4/tcp_no_metrics_save", "1"));
}

std::shared_ptr<void> Testbed::start_plain() const {
  const Pinned pinned{cpu_};
  if (serves_ == Serves::greeting)
    return std::make_shared<Greeter>(host("plain"), lab::service_port);
  return std::make_shared<lab::Nginx>(
      value_or_throw(lab::Nginx::start(host("plain"), {lab::service_port})));
}

std::shared_ptr<void> Testbed::start_trap_on_plain() {
  return std::make_shared<Served>(*this);
}

lab::Counters Testbed::counters() const {
  const lab::Reading reading = value_or_throw(trap_->read());
  lab::Counters all;
  add(all, "server.", reading.server);
  add(all, "guard.", reading.guard);
  add(all, "client.", reading.client);
  add(all, "stack.", value_or_throw(lab::stack_counters(host("plain"))));
  add(all, "synproxy.", synproxy_counters(host("plain")));
  if (on_plain_ != nullptr)
    add(all, "served.", value_or_throw(on_plain_->counters()));
  return all;
}

} // namespace trap::bench
