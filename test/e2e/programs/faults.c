/*
 * Preloaded into hoop by the soak of starved processes: what a slow disk, a full one and a network
 * that is away do, in one process, while it runs. The file that SOAK_FAULTS names holds the numbers
 * of `struct faults`, as test/e2e/faults.ts writes them; files count only under SOAK_FAULTS_UNDER.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct faults {
  int sync_ms;
  int disk_is_full;
  int refused_port;
};

static const struct faults none;
static const volatile struct faults *faults = &none;
static const char *under = "";

__attribute__((constructor)) static void map_faults(void) {
  const char *path = getenv("SOAK_FAULTS");
  const char *prefix = getenv("SOAK_FAULTS_UNDER");
  if (path == NULL || prefix == NULL) return;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  void *mapped = mmap(NULL, sizeof(struct faults), PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped == MAP_FAILED) return;
  under = prefix;
  faults = mapped;
}

static int is_under(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  return length > 0 && strlen(under) > 0 && strncmp(path, under, strlen(under)) == 0;
}

static void wait_as_disk(int fd) {
  int ms = faults->sync_ms;
  if (ms == 0 || !is_under(fd)) return;
  struct timespec time = {ms / 1000, (ms % 1000) * 1000000L};
  nanosleep(&time, NULL);
}

static int is_full(int fd) {
  int saved = errno;
  int full = faults->disk_is_full && is_under(fd);
  errno = full ? ENOSPC : saved;
  return full;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int fd) {
  wait_as_disk(fd);
  return NEXT(fsync)(fd);
}

int fdatasync(int fd) {
  wait_as_disk(fd);
  return NEXT(fdatasync)(fd);
}

ssize_t write(int fd, const void *bytes, size_t length) {
  return is_full(fd) ? -1 : NEXT(write)(fd, bytes, length);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  return is_full(fd) ? -1 : NEXT(writev)(fd, parts, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
  return is_full(fd) ? -1 : NEXT(pwrite)(fd, bytes, length, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
  return is_full(fd) ? -1 : NEXT(pwrite64)(fd, bytes, length, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  return is_full(fd) ? -1 : NEXT(pwritev)(fd, parts, count, at);
}

int connect(int fd, const struct sockaddr *address, socklen_t length) {
  if (faults->refused_port != 0 && address->sa_family == AF_INET &&
      ntohs(((const struct sockaddr_in *)address)->sin_port) == faults->refused_port) {
    errno = ECONNREFUSED;
    return -1;
  }
  return NEXT(connect)(fd, address, length);
}
