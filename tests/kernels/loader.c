// SPDX-License-Identifier: Apache-2.0
// The first and only process of a kernel under test: loads each program of TRAP as the daemons do,
// runs it once, attaches it, and ends the machine. Prints a line for each program: "ok NAME ..." or
// "not ok NAME: why". load.sh packs and boots it.
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOG_BYTES = 128 << 20, LOG_LINES_SHOWN = 40 };

/* The verifier follows a million instructions at most. Beyond this number the next change may find
 * itself at an end, so the change that comes near has to make room. */
enum { INSTRUCTIONS_MOST = 700000 };

struct trial {
  const char* object;
  const char* program;
  enum bpf_tc_attach_point tc; /* 0: an XDP program */
  bool is_run;                 /* by its daemon, and attached nowhere */
  bool is_traced;              /* at a tracepoint of the kernel */
  bool may_be_absent;          /* load.sh packs it for kernels that have what it calls */
};

static const struct trial trials[] = {
    {.object = "/trap_server.bpf.o", .program = "trap_server"},
    {.object = "/trap_server.bpf.o", .program = "trap_server_tc", .tc = BPF_TC_INGRESS},
    {.object = "/trap_server_assign.bpf.o",
     .program = "trap_server_assign",
     .tc = BPF_TC_INGRESS,
     .may_be_absent = true},
    {.object = "/trap_server_assign.bpf.o",
     .program = "trap_server_take",
     .tc = BPF_TC_INGRESS,
     .may_be_absent = true},
    {.object = "/trap_inject.bpf.o", .program = "trap_inject"},
    {.object = "/trap_listener.bpf.o", .program = "trap_listener", .is_run = true},
    {.object = "/trap_wire_watch.bpf.o", .program = "trap_watch_in", .is_traced = true},
    {.object = "/trap_wire_watch.bpf.o", .program = "trap_watch_out", .is_traced = true},
    {.object = "/trap_guard.bpf.o", .program = "trap_guard"},
    {.object = "/trap_guard.bpf.o", .program = "trap_guard_ip"},
    {.object = "/trap_guard.bpf.o", .program = "trap_guard_egress", .tc = BPF_TC_EGRESS},
    {.object = "/trap_guard.bpf.o", .program = "trap_guard_egress_ip", .tc = BPF_TC_EGRESS},
    {.object = "/trap_client.bpf.o", .program = "trap_client_egress", .tc = BPF_TC_EGRESS},
    {.object = "/trap_client.bpf.o", .program = "trap_client_ingress", .tc = BPF_TC_INGRESS},
    {.object = "/trap_client.bpf.o", .program = "trap_client_egress_ip", .tc = BPF_TC_EGRESS},
    {.object = "/trap_client.bpf.o", .program = "trap_client_ingress_ip", .tc = BPF_TC_INGRESS},
    {.object = "/trap_client.bpf.o", .program = "trap_client_egress_lan", .tc = BPF_TC_EGRESS},
    {.object = "/trap_client.bpf.o", .program = "trap_client_ingress_lan", .tc = BPF_TC_INGRESS},
    {.object = "/trap_client.bpf.o", .program = "trap_client_egress_lan_ip", .tc = BPF_TC_EGRESS},
    {.object = "/trap_client.bpf.o", .program = "trap_client_ingress_lan_ip", .tc = BPF_TC_INGRESS},
};

static char* verifier_log;
static char reason[512];

__attribute__((format(printf, 1, 2))) static bool fails(const char* format, ...) {
  int cause = errno;
  va_list arguments;

  va_start(arguments, format);
  int length = vsnprintf(reason, sizeof reason, format, arguments);
  va_end(arguments);
  if (cause != 0 && length >= 0 && (size_t)length < sizeof reason) {
    char text[128];
    libbpf_strerror(cause, text, sizeof text); /* knows libbpf's own numbers too */
    snprintf(reason + length, sizeof reason - (size_t)length, ": %s", text);
  }
  return false;
}

/* The start of the log's last LOG_LINES_SHOWN lines. */
static const char* tail_of_log(void) {
  const char* at = verifier_log + strlen(verifier_log);
  int lines = 0;

  while (at > verifier_log && (at[-1] != '\n' || lines++ < LOG_LINES_SHOWN))
    at--;
  return at;
}

/* The last line that is not statistics: there the verifier says what it refuses. */
static bool fails_in_verifier(int cause) {
  char* line = NULL;
  char* rest = NULL;

  errno = cause;
  if (verifier_log[0] == '\0')
    return fails("cannot load");
  printf("log\n%s\nend of log\n", tail_of_log());
  errno = 0;
  fails("no reason in the verifier's log");
  for (line = strtok_r(verifier_log, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
    if (strncmp(line, "processed ", 10) != 0 && strncmp(line, "verification time", 17) != 0 &&
        strncmp(line, "stack depth", 11) != 0)
      fails("%s", line);
    else if (strstr(line, "insns") && strstr(reason, "no reason"))
      fails("%s", line);
  }
  return false;
}

/* Loads the object with this one of its programs. NULL: reason says why not. */
static struct bpf_object* load(const struct trial* trial) {
  struct bpf_object* object = bpf_object__open_file(trial->object, NULL);
  struct bpf_program* program = NULL;
  bool found = false;

  if (!object) {
    fails("cannot open %s", trial->object);
    return NULL;
  }
  bpf_object__for_each_program(program, object) {
    bool wanted = strcmp(bpf_program__name(program), trial->program) == 0;
    bpf_program__set_autoload(program, wanted);
    if (wanted)
      bpf_program__set_log_buf(program, verifier_log, LOG_BYTES);
    found = found || wanted;
  }
  verifier_log[0] = '\0';
  errno = 0;
  if (found && bpf_object__load(object) == 0)
    return object;
  if (found)
    fails_in_verifier(errno);
  else
    fails("%s has no such program", trial->object);
  bpf_object__close(object);
  return NULL;
}

/* A frame that is not IP is none of TRAP's business: it must go on unchanged. */
static bool passes_arp(const struct trial* trial, int program) {
  unsigned char frame[ETH_ZLEN] = {[12] = ETH_P_ARP >> 8, [13] = ETH_P_ARP & 0xff};
  int wanted = trial->tc ? TC_ACT_UNSPEC : XDP_PASS;
  LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof frame, .repeat = 1);

  if (bpf_prog_test_run_opts(program, &run) != 0)
    return fails("cannot run it on a frame");
  errno = 0;
  return (int)run.retval == wanted ||
         fails("an ARP frame gives action %d, not %d", (int)run.retval, wanted);
}

static bool attaches_to_tc(const struct trial* trial, int program, int interface) {
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = interface, .attach_point = trial->tc);
  LIBBPF_OPTS(bpf_tc_opts, filter, .handle = 1, .priority = 1, .prog_fd = program,
              .flags = BPF_TC_F_REPLACE);

  if (bpf_tc_hook_create(&hook) != 0 && errno != EEXIST)
    return fails("cannot create the clsact queueing discipline");
  return bpf_tc_attach(&hook, &filter) == 0 || fails("cannot attach to clsact");
}

/* As a link that is pinned, the way the daemons do it. */
static bool attaches_to_xdp(int program, int interface, const char* mode, __u32 flags) {
  static const char pin[] = "/sys/fs/bpf/link";
  LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);
  int link = bpf_link_create(program, interface, BPF_XDP, &options);

  if (link < 0)
    return fails("cannot attach to veth in %s mode", mode);
  bool pinned = bpf_obj_pin(link, pin) == 0 || fails("cannot pin the link");
  unlink(pin);
  close(link); /* the last reference: detached */
  return pinned;
}

static bool attaches_to_tracepoint(int program) {
  int link = bpf_raw_tracepoint_open(NULL, program); /* the program names it */

  if (link < 0)
    return fails("cannot attach to its tracepoint");
  close(link);
  return true;
}

static bool attaches(const struct trial* trial, int program) {
  int interface = (int)if_nametoindex("veth0");

  if (trial->tc)
    return attaches_to_tc(trial, program, interface);
  return attaches_to_xdp(program, interface, "native", XDP_FLAGS_DRV_MODE) &&
         attaches_to_xdp(program, interface, "generic", XDP_FLAGS_SKB_MODE);
}

/* load.sh writes the names that it does not ask for, each between blanks. */
static bool is_asked_for(const struct trial* trial) {
  char names[1024] = "", name[64];
  FILE* file = fopen("/skipped", "r");

  if (file && !fgets(names, sizeof names, file))
    names[0] = '\0';
  if (file)
    fclose(file);
  snprintf(name, sizeof name, " %s ", trial->program);
  return !strstr(names, name);
}

static void try(const struct trial* trial) {
  struct bpf_object* object = load(trial);
  struct bpf_prog_info info = {};
  __u32 size = sizeof info;

  if (!object && trial->may_be_absent && access(trial->object, F_OK) != 0)
    return;
  if (object) {
    int program = bpf_program__fd(bpf_object__find_program_by_name(object, trial->program));
    bpf_obj_get_info_by_fd(program, &info, &size);
    errno = 0;
    bool leaves_room =
        info.verified_insns <= INSTRUCTIONS_MOST ||
        fails("the verifier processed %u instructions; %d of its 1000000 are the most here",
              info.verified_insns, INSTRUCTIONS_MOST);
    if (leaves_room && (trial->is_run || (trial->is_traced ? attaches_to_tracepoint(program)
                                                           : passes_arp(trial, program) &&
                                                                 attaches(trial, program)))) {
      printf("ok %s processed %u insns, attached %s\n", trial->program, info.verified_insns,
             trial->is_run      ? "nowhere"
             : trial->is_traced ? "to its tracepoint"
             : trial->tc        ? "to clsact"
                                : "to native and generic XDP");
      bpf_object__close(object);
      return;
    }
    bpf_object__close(object);
  }
  printf("not ok %s: %s\n", trial->program, reason);
}

static bool insert_module(const char* path) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  bool inserted = file >= 0 && syscall(SYS_finit_module, file, "", 0) == 0;

  if (file >= 0)
    close(file);
  return inserted || fails("cannot insert the module %s", path);
}

/* In the order in which they need each other, as load.sh wrote them down. */
static bool insert_modules(void) {
  FILE* list = fopen("/modules", "r");
  char path[256] = "/";
  bool inserted = list != NULL || fails("cannot open /modules");

  while (inserted && fgets(path + 1, sizeof path - 1, list)) {
    path[strcspn(path, "\n")] = '\0';
    inserted = insert_module(path);
  }
  if (list)
    fclose(list);
  return inserted;
}

static bool make_veth_pair(void) {
  int status = -1;
  pid_t child = fork();

  if (child == 0) {
    execl("/bin/ip", "ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth1",
          (char*)NULL);
    _exit(127);
  }
  errno = 0;
  return (child > 0 && waitpid(child, &status, 0) == child && status == 0) ||
         fails("cannot make a veth pair with ip");
}

static bool mounts(const char* type, const char* where) {
  mkdir(where, 0755);
  return mount(type, where, type, 0, NULL) == 0 || fails("cannot mount %s", where);
}

static bool prepare(void) {
  verifier_log = malloc(LOG_BYTES);
  return (verifier_log || fails("no memory for the verifier's log")) && mounts("proc", "/proc") &&
         mounts("sysfs", "/sys") && mounts("bpf", "/sys/fs/bpf") && insert_modules() &&
         make_veth_pair();
}

static int stay_quiet(enum libbpf_print_level level, const char* format, va_list arguments) {
  (void)level, (void)format, (void)arguments;
  return 0;
}

int main(void) {
  struct utsname kernel = {};

  if (getpid() != 1) {
    fputs("loader: it is the init of a kernel under test; run tests/kernels/load.sh\n", stderr);
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  libbpf_set_print(stay_quiet);
  uname(&kernel);
  printf("kernel %s %s\n", kernel.release, kernel.version);
  if (prepare()) {
    for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++)
      if (is_asked_for(&trials[i]))
        try(&trials[i]);
  } else {
    printf("not ok prepare: %s\n", reason);
  }
  printf("done\n");
  fflush(stdout);
  sync();
  reboot(RB_AUTOBOOT); /* qemu runs with -no-reboot: the machine ends */
  return 1;
}
