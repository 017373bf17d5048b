/*
 * The leanest server to bench clients against: answers every line (it counts LFs) with the same 11 bytes, `+PONGPONG\r\n`.
 *
 *   echo_server [port]      default 0, a free port; listens on 127.0.0.1, prints the port as its first line
 *
 * One thread and one epoll, no memory of its own per connection. On SIGUSR1 it prints how many lines it has answered since it started.
 * A client that does not read its replies is cut off. Ends with the process that started it.
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
#include <unistd.h>

#define REPLY "+PONGPONG\r\n"
#define REPLY_SIZE (sizeof REPLY - 1)
#define READ_SIZE 16384
#define EVENTS 1024

static volatile sig_atomic_t asked;

static void on_usr1(int signal) {
  (void)signal;
  asked = 1;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static int listen_on(int port) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (listener < 0) die("socket");
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* what it accepts inherits it */
  if (bind(listener, (struct sockaddr *)&address, size) < 0) die("bind");
  if (listen(listener, 4096) < 0) die("listen");
  if (getsockname(listener, (struct sockaddr *)&address, &size) < 0) die("getsockname");
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  return listener;
}

static void accept_all(int listener, int epoll) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (fd < 0) {
      if (errno == EAGAIN) return;
      if (errno == ECONNABORTED || errno == EINTR) continue;
      die("accept"); /* out of files: a bench that went on would lie */
    }
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
  }
}

/* Answers what one read brings; level-triggered, so more comes with the next event. Returns the number of lines. */
static uint64_t serve(int fd) {
  static char in[READ_SIZE], out[READ_SIZE * REPLY_SIZE];
  ssize_t got = read(fd, in, sizeof in);
  size_t lines = 0;
  if (out[0] == 0)
    for (size_t i = 0; i < READ_SIZE; i++) memcpy(out + i * REPLY_SIZE, REPLY, REPLY_SIZE);
  if (got <= 0) {
    if (got == 0 || (errno != EAGAIN && errno != EINTR)) close(fd);
    return 0;
  }
  for (const char *at = in, *end = in + got; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++) lines++;
  if (lines > 0 && send(fd, out, lines * REPLY_SIZE, MSG_NOSIGNAL) != (ssize_t)(lines * REPLY_SIZE)) close(fd);
  return lines;
}

int main(int argc, char **argv) {
  static struct epoll_event events[EVENTS];
  struct sigaction action = {.sa_handler = on_usr1};
  struct rlimit files;
  uint64_t lines = 0;
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) die("epoll_create1");
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigaction(SIGUSR1, &action, NULL);
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  int listener = listen_on(argc > 1 ? atoi(argv[1]) : 0);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0) die("epoll_ctl");
  for (;;) {
    int ready = epoll_wait(epoll, events, EVENTS, -1);
    if (ready < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < ready; i++) {
      if (events[i].data.fd == listener) accept_all(listener, epoll);
      else lines += serve(events[i].data.fd);
    }
    if (asked) {
      asked = 0;
      printf("%" PRIu64 "\n", lines);
      fflush(stdout);
    }
  }
}
