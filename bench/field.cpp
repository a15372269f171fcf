// SPDX-License-Identifier: Apache-2.0
#include "bench/field.h"

#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "bench/greeter.h"
#include "bench/must.h"
#include "bench/pinned.h"
#include "lab/stack_counters.h"

namespace trap::bench {
namespace {

// One client makes all the connections.
constexpr std::string_view budget = "[budget]\nclient_handshakes_per_s = 1000000\nnetwork_handshakes_per_s = 1000000\n";

lab::DeploymentPlan plan_of_field() {
  lab::DeploymentPlan plan;
  plan.guards_trust = true;
  plan.server_keys = budget;
  return plan;
}

std::string served_text() {
  const lab::Place& plain = lab::place_of("plain");
  return fmt::format("xdp_mode = \"native\"\n{}[[service]]\nname = \"web\"\naddresses = [\"{}\", \"{}\"]\n", budget,
                     lab::endpoint(plain.ipv4, lab::service_port), lab::endpoint(plain.ipv6, lab::service_port));
}

void add(lab::Counters& all, const std::string& prefix, const lab::Counters& some) {
  for (const auto& [name, count] : some)
    all[prefix + name] = count;
}

// /proc/net/stat/synproxy: names, then a line of hexadecimal numbers for each CPU. Nothing if the module was never loaded.
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

// Goes the way it came, the daemon last of all that needs the service.
class Field::Served {
public:
  explicit Served(Field& field) : field_(field), service_(field.start_plain()) {
    const Pinned pinned{field.cpu()};
    must(field.topology().attach_pass_program("plain"));
    daemon_.emplace(must(lab::Daemon::prepare(lab::Part::server, field.host("plain"), served_text())));
    must(daemon_->start());
    field_.on_plain_ = &*daemon_;
  }
  ~Served() {
    field_.on_plain_ = nullptr;
    if (daemon_)
      static_cast<void>(daemon_->detach());
    static_cast<void>(field_.topology().detach_pass_program("plain"));
  }
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;

private:
  Field& field_;
  std::shared_ptr<void> service_;
  std::optional<lab::Daemon> daemon_;
};

Field::Field(Serves serves, int cpu) : serves_(serves), cpu_(cpu), topology_(must(lab::Topology::build())) {
  const Pinned pinned{cpu};
  trap_.emplace(must(lab::Deployment::start(topology_, plan_of_field())));
  if (serves == Serves::greeting) {
    trap_->stop_nginx("service");
    greeter_ = std::make_shared<Greeter>(host("service"), lab::service_port);
  }
  redirects_.emplace(host("client"));
  // A client of which the kernel remembers a round-trip time has part of the backlog to itself; every client here is a newcomer.
  must(host("plain").set("ipv4/tcp_no_metrics_save", "1"));
}

std::shared_ptr<void> Field::start_plain() const {
  const Pinned pinned{cpu_};
  if (serves_ == Serves::greeting)
    return std::make_shared<Greeter>(host("plain"), lab::service_port);
  return std::make_shared<lab::Nginx>(must(lab::Nginx::start(host("plain"), {lab::service_port})));
}

std::shared_ptr<void> Field::start_trap_on_plain() {
  return std::make_shared<Served>(*this);
}

lab::Counters Field::counters() const {
  const lab::Reading reading = must(trap_->read());
  lab::Counters all;
  add(all, "server.", reading.server);
  add(all, "guard.", reading.guard);
  add(all, "client.", reading.client);
  add(all, "stack.", must(lab::stack_counters(host("plain"))));
  add(all, "synproxy.", synproxy_counters(host("plain")));
  if (on_plain_ != nullptr)
    add(all, "served.", must(on_plain_->counters()));
  return all;
}

} // namespace trap::bench
