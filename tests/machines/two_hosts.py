# SPDX-License-Identifier: Apache-2.0
"""The page on two hosts, on three machines: the TRAP server, the service behind its guard, and a
client. Then the servers boot again, and the client after them, while an uninvited host tries."""
import subprocess

from checks import check_boot, check_life, check_prober, follow
from machine import Machine
from network import ROUTER, STRANGER, interfaces
from prober import Prober

SERVICE, CLIENT = "198.51.100.20", "192.0.2.10"
MEMORY_MB = 768
STATUS_DEADLINE_S = 150  # the server's view of its guard is two minutes old at most
# Of each machine: its tap, its file of interfaces, services of others that it has not.
MACHINES = {
    "trap": ("tap0", interfaces(ROUTER, "203.0.113.10", "203.0.113.11"), ("nginx",)),
    "service": ("tap1", interfaces("198.51.100.1", SERVICE), ("haproxy",)),
    "client": ("tap2", interfaces("192.0.2.1", CLIENT), ("nginx", "haproxy")),
}
PARTS = {"trap": "server", "service": "guard", "client": "client"}
GET = "curl --silent --show-error --max-time 20 --output /dev/null --write-out '%{http_code}' http://203.0.113.10/"


def let_in_by_ssh(play, service, trap):
    """The page copies a key by scp: the administrator of the service's host may log in as root."""
    key = play.on(service, "ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519 && cat /root/.ssh/id_ed25519.pub",
                  "the service's administrator has a key")
    play.on(trap, f"install -d -m 700 /root/.ssh && echo '{key}' >/root/.ssh/authorized_keys", "the TRAP server's host knows it")
    host = trap.run("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub")[1]
    play.on(service, f"echo '203.0.113.10 {host}' >/root/.ssh/known_hosts", "and its own key is known")


def check_redirected(play, machines, when):
    """A page, and the service saw the client itself: no relay was on the way."""
    code, output = machines["client"].run(GET)
    play.check(code == 0 and output == "200", f"the client gets a page {when}",
               f"{output}: " + machines["client"].run("trapctl status; trapctl redirects")[1])
    last = machines["service"].run("tail -n 1 /var/log/nginx/access.log")[1]
    play.check(last.startswith(CLIENT + " "), f"by a redirect: the service saw the client's own address {when}", last)
    table = machines["client"].run("trapctl redirects")[1]
    play.check(any(line.split()[:3] == ["203.0.113.10:80", f"{SERVICE}:80", CLIENT] for line in table.splitlines()),
               f"the client has the redirect {when}", table)


def check_status(play, machines, when):
    for name, machine in machines.items():
        code, status = machine.run(f"for i in $(seq {STATUS_DEADLINE_S // 2}); do trapctl status >/dev/null && break; sleep 2; done; trapctl status", 600)
        play.check(code == 0, f"status of {name} is ok {when}", status)


def stranger(url):
    done = subprocess.run(["curl", "--silent", "--max-time", "20", "--output", "/dev/null", "--write-out", "%{http_code}", url],
                          stdout=subprocess.PIPE, text=True)
    return done.stdout


def start(work, image):
    machines = {}
    for name, (tap, network, without) in MACHINES.items():
        (work / name).mkdir()
        disk = image({"/etc/network/interfaces": network}, at=work / name, without=without)
        machines[name] = Machine(disk, work / name, tap, memory=MEMORY_MB)
    return machines


def boot(play, machines):
    again = [machine for machine in machines if machine.process]
    for machine in again:
        machine.shut_down()
    for machine in machines:
        (machine.come_back if machine in again else machine.power_on)()
    for machine in machines:
        machine.wait_for_agent()
    for machine in machines:
        state = machine.run("systemctl is-system-running --wait", 600)[1]
        play.check(state == "running", f"{machine.name} is {state}", machine.run("systemctl --failed --no-pager")[1])


def two_hosts(play, image, work):
    machines = start(work, image)
    trap, service, client = machines.values()
    prober = Prober(STRANGER, SERVICE, 80)
    try:
        boot(play, machines.values())
        print("   " + client.run("uname -r; systemctl --version | head -n 1")[1].replace("\n", ", "))
        let_in_by_ssh(play, service, trap)
        play.check(stranger(f"http://{SERVICE}/") == "200", "before the page, an uninvited host reaches the service")
        follow(play, "docs/howto/two-hosts.md", {**machines, "stranger": None})
        check_redirected(play, machines, "at the page's end")
        check_status(play, machines, "at the page's end")
        prober.start()
        boot(play, (trap, service))
        check_boot(play, trap, "server")
        check_boot(play, service, "guard")
        check_redirected(play, machines, "after the servers' boot, with the ticket from before")
        play.on(client, "trapctl redirects flush", "the client forgets its ticket")
        check_redirected(play, machines, "after the servers' boot, with a new ticket")
        check_status(play, machines, "after the servers' boot")
        boot(play, (client,))
        check_boot(play, client, "client")
        check_redirected(play, machines, "after its own boot")
        check_life(play, client, "client")
        check_redirected(play, machines, "after the life of its daemon")
        play.check(stranger("http://203.0.113.10/") == "200", "a client without trap-client is served by the relay")
        check_status(play, machines, "at the end")
        check_prober(play, prober, trap.shut_down_at, "from the servers' shutdown to the end")
    finally:
        for machine in machines.values():
            machine.power_off()
        prober.stop()
