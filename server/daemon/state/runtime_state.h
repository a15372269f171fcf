// SPDX-License-Identifier: Apache-2.0
// The state that the daemon watches while it runs, and its effect on the maps: backends, attacks,
// listeners, the host's settings.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "server/daemon/state/listener_queue.h"
#include "server/daemon/state/map_contents.h"
#include "server/daemon/watch/activation.h"
#include "server/daemon/watch/return_ways.h"

namespace trap::server {

using ServiceValues = std::map<Endpoint, trap_service>;

class RuntimeState {
public:
  // Takes over the values that an earlier run left in the maps; comes before all else.
  void go_on_from(ServiceValues values) { told_ = std::move(values); }

  // Another configuration with its plan; what is known of things that stay is kept. How the maps
  // were left decides how a service with activate = "attack" begins. On error nothing has changed.
  Result<void> follow(const ServerConfig& config, const ServerPlan& plan);

  // A few times a second; true if the maps' contents may have changed. now_ns: CLOCK_MONOTONIC.
  bool advance(const ServerPlan& plan, int counters_fd, std::uint64_t now_ns);

  // Once a second: what the host says of itself.
  // `assigns`: sockets are made of TRAP's own cookies. `loses_answers`: no interface sends what XDP
  // answers.
  void look_at_host(const ServerPlan& plan, const std::vector<std::string>& interfaces,
                    bool assigns, bool loses_answers);
  bool assigns() const { return host_.assigns; }

  // Once a second: the interfaces in VRFs by which clients come, by service.
  void note_ways_into_vrfs(std::map<Endpoint, std::string> ways) { vrfs_ = std::move(ways); }

  // Clients are told these as the default routes ask for them.
  RouteWish told_values(const trap_address& client) const {
    return family_of(client) == TRAP_IPV4 ? host_.routes.ipv4 : host_.routes.ipv6;
  }
  // The sockets that answer for services, of which rules may choose the routes; of a host without
  // such rules two stand for all.
  std::vector<RouteSource> route_sources(const ServerPlan& plan) const;
  // SO_MARK of the service's listener; 0 as long as none is known.
  std::uint32_t mark_of(const PlannedService& planned) const;
  void note_next_hops(bool any) { host_.has_next_hops = any; }

  // Once a second: what was found about the listeners of services.
  void note_listeners(const std::map<Endpoint, ListenerFacts>& facts);

  // Once a second: their queues, and the host's overflows.
  void note_queues(const std::map<Endpoint, QueueSight>& queues,
                   std::optional<std::uint64_t> overflows);

  // Null if nothing is known of the queue of the service's listener.
  const ListenerQueue* queue(const Endpoint& address) const;

  // Is the service itself too slow?
  bool is_slow(const PlannedService& planned) const;

  // Once a second, for a service that serves.
  void note_handovers(const PlannedService& planned, const HandoverCounts& counts);

  // Where the service's shortfall wants them.
  void note_client_tests(const PlannedService& planned, const ClientTests& tests) {
    shortfalls_[planned.address].note_client_tests(now_ns_, tests);
  }

  // Of a service that TRAP's own cookies would serve: is it time for a test?
  bool wants_test(const PlannedService& planned) const;

  void note_test(const PlannedService& planned, TestResult result, const std::string& interface);

  // Of the last one; nothing if there was none since the start or a reload.
  std::optional<TestResult> test_result(const PlannedService& planned) const;

  // Lets a service try its best answerer again.
  void retry_handovers(const PlannedService& planned, const HandoverCounts& counts);

  // Null as long as nothing was noted.
  const Shortfall* shortfall(const PlannedService& planned) const;

  // Also for a plan that was not followed yet: what is new in it is then taken at its best.
  MapContents contents(const ServerPlan& plan) const;

  // Notes written contents; the next ones go on from them.
  void note_written(const ServerPlan& plan, const MapContents& contents);

  // Ports of services that may have connections on this host and that TRAP answers for, as they
  // were written.
  std::set<std::uint16_t> ports_with_sockets() const;

  // Are there services in the contents that connections may have, of which the packet walk did not
  // know it, or did not care?
  bool lets_sockets_appear(const ServerPlan& plan, const MapContents& contents) const;

  // The reasons why services do not work as configured, one line each.
  std::vector<std::string> problems(const ServerPlan& plan) const;

  // For a service that serves: the part that answers its SYNs when TRAP is active.
  Answering answering(const PlannedService& planned) const;

  // "": all is well with the listener of a service that serves, as far as is known.
  std::string listener_problem(const PlannedService& planned) const;

  // Does TRAP answer for the service now, or the stack?
  bool is_active(const PlannedService& planned) const;
  const Activation*
  activation(const PlannedService& planned) const; // null unless activate = "attack"

  BackendAvailability& backends() { return backends_; }
  const BackendAvailability& backends() const { return backends_; }

private:
  Result<void> watch_listeners(const ServerConfig& config);
  void watch_attacks(const ServerPlan& plan);
  bool observe_attacks(const ServerPlan& plan, int counters_fd, std::uint64_t now_ns);
  ServiceState of_service(const PlannedService& planned) const;
  bool offers(const PlannedService& planned) const;
  // Phrases without service and address.
  std::string plain_listener_problem(const PlannedService& planned) const;
  std::string answering_problem(const PlannedService& planned) const;
  std::string queue_problem(const PlannedService& planned) const;
  std::string pool_problem(const PlannedService& planned) const;

  BackendAvailability backends_;
  HostState host_;
  std::map<Endpoint, std::string> vrfs_;
  std::unique_ptr<ListenerProbe> listeners_; // none as long as no service serves
  std::map<Endpoint, LivingHandshakes> living_handshakes_;
  std::map<Endpoint, Activation> activations_;
  ServiceValues told_; // what the maps tell of each service
  struct KnownFacts {
    ListenerFacts facts;
    std::uint64_t since_ns = 0;
  };
  std::map<Endpoint, KnownFacts> facts_;
  std::map<Endpoint, ListenerQueue> queues_;
  std::map<Endpoint, Shortfall> shortfalls_;
  struct OwnTest {
    std::uint64_t due_ns = 0; // of the next
    TestResult result = TestResult::unknown;
  };
  std::map<Endpoint, OwnTest> tests_;
  std::map<Endpoint, std::uint64_t> left_ns_; // when it was last seen left to the stack
  std::uint64_t now_ns_ = 0;                  // of advance()
};

} // namespace trap::server
