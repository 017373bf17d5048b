/*
 * The physical limit of a closed loop: on each of N connections one 11-byte request is under way at any time; when its line comes back,
 * the next one goes out. No measuring, no states, no allocation.
 *
 *   epoll_client <ip> <port> <connections> <seconds>
 *
 * Connects first, then counts for <seconds>, and prints one line of JSON: round_trips, and of that time alone user_s and system_s (getrusage)
 * and wall_s. Ends with the process that started it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST "heartbeat\r\n"
#define REQUEST_SIZE (sizeof REQUEST - 1)
#define EVENTS 1024

static void die(const char *what) {
  perror(what);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double seconds_of(struct timeval time) { return (double)time.tv_sec + (double)time.tv_usec / 1e6; }

static int connect_to(const struct sockaddr_in *server) {
  int on = 1;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd, (const struct sockaddr *)server, sizeof *server) < 0) die("connect");
  return fd;
}

static void request(int fd) {
  if (send(fd, REQUEST, REQUEST_SIZE, MSG_NOSIGNAL) != (ssize_t)REQUEST_SIZE) die("send");
}

/* Takes what is there; returns 1 when a whole line has come. One reply is under way at a time, so its end is the end of what is read. */
static int reply_is_whole(int fd) {
  char in[4096];
  ssize_t got = recv(fd, in, sizeof in, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  if (got < 0) die("recv");
  if (got == 0) {
    fputs("the server closed a connection\n", stderr);
    exit(1);
  }
  return memchr(in, '\n', (size_t)got) != NULL;
}

int main(int argc, char **argv) {
  static struct epoll_event events[EVENTS];
  struct sockaddr_in server = {.sin_family = AF_INET};
  struct rusage before, after;
  struct rlimit files;
  uint64_t round_trips = 0;
  int connections = argc == 5 ? atoi(argv[3]) : 0;
  double seconds = argc == 5 ? atof(argv[4]) : 0;
  if (connections < 1 || !(seconds > 0) || inet_pton(AF_INET, argv[1], &server.sin_addr) != 1) {
    fputs("usage: epoll_client <ip> <port> <connections> <seconds>\n", stderr);
    return 2;
  }
  server.sin_port = htons((uint16_t)atoi(argv[2]));
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  int *fds = malloc((size_t)connections * sizeof *fds);
  if (epoll < 0 || fds == NULL) die("epoll_create1");
  for (int i = 0; i < connections; i++) {
    fds[i] = connect_to(&server);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fds[i]};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event) < 0) die("epoll_ctl");
  }

  getrusage(RUSAGE_SELF, &before);
  double start = now(), time = start;
  for (int i = 0; i < connections; i++) request(fds[i]);
  while (time < start + seconds) {
    int ready = epoll_wait(epoll, events, EVENTS, 1000);
    if (ready < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < ready; i++) {
      if (!reply_is_whole(events[i].data.fd)) continue;
      round_trips++;
      request(events[i].data.fd);
    }
    time = now();
  }
  getrusage(RUSAGE_SELF, &after);
  printf("{\"round_trips\":%" PRIu64 ",\"user_s\":%.6f,\"system_s\":%.6f,\"wall_s\":%.6f}\n", round_trips,
         seconds_of(after.ru_utime) - seconds_of(before.ru_utime), seconds_of(after.ru_stime) - seconds_of(before.ru_stime), time - start);
  return 0;
}
