/* The warden: the guest's supervisor. It copies raw bytes into framed records and interprets nothing; the host's
 * Python decodes them. See docs/warden.md for the frames, and docs/design.md for why each sensor is as it is. */
#ifndef WARDEN_H
#define WARDEN_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#define MAX_FRAME (1u << 20)
#define MAX_CONNECTIONS 4096u
#define MAX_SPAWNS 64u
#define MAX_LISTENERS 512u
#define WINDOW (1u << 20)
#define UNTRACED 0x7fffffff /* what a phase without a filter says in place of its listener; benchmarks only */

/* Frames from the host. */
enum {
    H_PLAN = 1, H_PUT, H_SEAL, H_WATCH, H_SPAWN, H_STOP, H_DATA, H_FINISH, H_RESET, H_DATAGRAM, H_LIST, H_READ,
    H_SURVEY, H_END, H_LOOPBACK, H_LISTEN, H_HOLD, H_TAKE, H_ALIVE,
};
/* Frames to the host. */
enum {
    W_READY = 64, W_FAILED, W_CALL, W_PROCESS, W_SPAWNED, W_EXITED, W_OUTPUT, W_OUTPUT_LOST, W_OPENED, W_DATA,
    W_FINISHED, W_CLOSED, W_CREDIT, W_DATAGRAM, W_TOUCHED, W_LOST, W_LISTING, W_CONTENT, W_SURVEYED, W_ENDED,
    W_SPAWN_FAILED,
};
/* What the warden did with a call it was asked about. */
enum { CALL_CONTINUED = 0, CALL_DENIED = 1, CALL_ANSWERED = 2, CALL_FOREIGN = 4 };
/* What a string attached to a call is. */
enum { S_PATH = 1, S_BASE, S_PATH2, S_BASE2, S_ADDRESS, S_ARGUMENT, S_EXE, S_CWD, S_TIME, S_CUT, S_LOCAL };

/* What epoll tells us is ready. */
enum { E_HOST = 1, E_HOST_OUT, E_INIT, E_CONTROL, E_LISTEN, E_CONNECTION, E_UDP, E_WITNESS, E_STDOUT, E_STDERR, E_TICK };

struct plan {
    uint32_t sleep_ms, processes, open_files, cpus;
    uint64_t memory, file_size;
} __attribute__((packed));

struct spawn {
    uint32_t id;
    int control, notify, out, err;
    pid_t pid;              /* in the warden's pid namespace */
    pid_t guest_pid;        /* as the guest sees it */
    uint64_t written[2];
    bool used, exited, ended;
    int status;
};

extern struct plan plan;
extern struct spawn spawns[MAX_SPAWNS];
extern int epoll_fd, proc_fd, init_fd;
extern pid_t init_pid;
extern uid_t guest_uid;     /* the guest's user, as the warden's user namespace numbers it */
extern bool contained;      /* in a container that somebody else made: see container.c */

/* main.c */
void supervise(int from_host, int to_host) __attribute__((noreturn));

/* container.c */
void container_main(char *first, char *end) __attribute__((noreturn));

/* feign.c */
struct seccomp_notif;
struct seccomp_notif_resp;
void feign(const char *path, const uint8_t *content, size_t size, bool absent);
bool feigned(int notify, const struct seccomp_notif *n, const char *path, struct seccomp_notif_resp *answer);

/* frames.c */
void out_open(int from_host, int to_host);
void frame_begin(uint32_t kind, uint32_t id);
void frame_bytes(const void *data, size_t size);
void frame_u32(uint32_t value);
void frame_u64(uint64_t value);
void frame_string(uint8_t kind, const void *data, size_t size);
void frame_end(void);
bool frame_fits(size_t size);
size_t frame_mark(void);
void frame_patch(size_t mark, uint32_t value);
void frame_cancel(void);
void frame(uint32_t kind, uint32_t id, const void *data, size_t size);
void out_flush(void);
bool out_pending(void);
bool out_waiting(void);
void out_send(void);
void lost(const char *sensor, const char *reason, uint32_t count);
void die(const char *what) __attribute__((noreturn));
uint64_t now_ns(void);
bool host_read(void (*handle)(uint32_t kind, uint32_t id, uint8_t *data, uint32_t size));

/* filter.c */
int filter_install(void);
void filter_names(void);

/* init.c: the guest's first process */
int init_main(int socket_fd);
void retitle(char *first, char *end, const char *title);

/* process.c */
struct task {
    pid_t tid, tgid;
    uint64_t start;
    uint64_t checked_ns;
    bool announced, stale;
};
struct stat_line {
    char state;
    pid_t parent, group, session;
    uint64_t start;
};
bool parse_stat(const char *text, size_t size, struct stat_line *out);
struct task *task_for(pid_t tid);
void task_announce(struct task *task);
void task_forget(pid_t tgid);
ssize_t proc_read(pid_t pid, const char *name, void *buffer, size_t size);
ssize_t proc_link(pid_t pid, const char *name, char *buffer, size_t size);
void survey(uint32_t id);
void stop_session(pid_t session);
uint64_t memory_used(void);

/* trace.c */
void notify_ready(unsigned index);
ssize_t guest_read(pid_t pid, uint64_t address, void *buffer, size_t size);
ssize_t guest_string(pid_t pid, uint64_t address, char *buffer, size_t size);

/* net.c */
void net_up(void);
void net_plan_loopback(uint16_t port);
void net_listen(uint16_t port);
int net_connect(pid_t tid, pid_t tgid, int fd, const struct sockaddr_storage *to, socklen_t size, bool *answered);
int net_send(pid_t tid, pid_t tgid, int fd, const struct sockaddr_storage *to, socklen_t size, uint64_t data,
             uint64_t length, int flags, bool *answered);
void net_expect(pid_t tgid, int fd, const struct sockaddr_storage *to);
void net_before_bind(const struct sockaddr_storage *address);
void listener_ready(unsigned index);
void udp_ready(unsigned index);
void connection_ready(unsigned index, uint32_t events);
void connections_drain(void);
void connection_data(uint32_t id, const uint8_t *data, uint32_t size);
void connection_hold(uint32_t id, bool held);
void connection_finish(uint32_t id);
void connection_reset(uint32_t id);
void datagram_reply(const uint8_t *data, uint32_t size);

/* plant.c */
void plant_put(const uint8_t *data, uint32_t size);
void plant_seal(void);
void plant_watch(uint32_t id, const uint8_t *path, uint32_t size);
void plant_list(uint32_t id, const uint8_t *path, uint32_t size);
void plant_read(uint32_t id, const uint8_t *path, uint32_t size);
void witness_open(void);
void witness_ready(void);
int witness_fd(void);

/* spawn.c */
void spawn_start(uint32_t id, const uint8_t *data, uint32_t size);
void spawn_stop(uint32_t id);
void control_ready(unsigned index);
void init_ready(void);
void output_ready(unsigned index, int stream);
void spawn_release(unsigned index);

void watch_fd(int fd, uint32_t kind, uint32_t index, uint32_t events);
void change_fd(int fd, uint32_t kind, uint32_t index, uint32_t events);

#endif
