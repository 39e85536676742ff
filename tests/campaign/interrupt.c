/* Kills, or takes the disk's space away, at the Nth change below a folder.
 *
 * Loaded by LD_PRELOAD. Calls that change files are counted over all processes of a command, in a
 * file that they share. Environment:
 *
 *   INTERRUPT_BELOW    folder; changes elsewhere are not counted
 *   INTERRUPT_COUNT    file with the number of changes so far, a long; made by the caller
 *   INTERRUPT_AT       the number of the change at which it happens; 0: never, changes are counted
 *   INTERRUPT_HOW      process: SIGKILL to the process before the change; group: to all of them;
 *                      full: from then on whatever needs space fails with ENOSPC
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *below;
static long *count, at;
static char how;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("INTERRUPT_COUNT"), *when = getenv("INTERRUPT_AT");
	const char *what = getenv("INTERRUPT_HOW");
	int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

	if (file < 0)
		return;
	count = mmap(NULL, sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	close(file);
	if (count == MAP_FAILED)
		return;
	at = when ? atol(when) : 0;
	how = what ? what[0] : 'p';
	below = getenv("INTERRUPT_BELOW");
}

/* Counts a change at `path`; whether it has to fail for want of space. */
static int interrupted(const char *path, int needs_space)
{
	long number;

	if (!below || !path || strncmp(path, below, strlen(below)))
		return 0;
	number = __atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST);
	if (at <= 0 || number < at)
		return 0;
	if (how == 'f')
		return needs_space;
	if (number == at) {
		kill(how == 'g' ? 0 : getpid(), SIGKILL);
		for (;;)
			pause();
	}
	return 0;
}

static const char *path_of(int file, char *path)
{
	char link[64];
	ssize_t length;

	snprintf(link, sizeof link, "/proc/self/fd/%d", file);
	length = readlink(link, path, PATH_MAX - 1);
	if (length < 0)
		return NULL;
	path[length] = 0;
	return path;
}

/* A path, which may be relative to an open folder or to the current one, as an absolute one. */
static const char *absolute(int folder, const char *path, char *space)
{
	char base[PATH_MAX];

	if (!path || path[0] == '/')
		return path;
	if (folder == AT_FDCWD ? !getcwd(base, sizeof base) : !path_of(folder, base))
		return NULL;
	snprintf(space, PATH_MAX, "%.2000s/%.2000s", base, path);
	return space;
}

#define REAL(name) \
	static __typeof__(&name) real; \
	if (!real) \
		real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define FAIL_IF(condition) \
	if (condition) { \
		errno = ENOSPC; \
		return -1; \
	}

#define ON_FILE(type, name, parameters, arguments, space) \
	type name parameters \
	{ \
		char path[PATH_MAX]; \
		REAL(name); \
		if (below) \
			FAIL_IF(interrupted(path_of(file, path), space)) \
		return real arguments; \
	}

ON_FILE(ssize_t, write, (int file, const void *bytes, size_t size), (file, bytes, size), 1)
ON_FILE(ssize_t, pwrite, (int file, const void *bytes, size_t size, off_t start),
	(file, bytes, size, start), 1)
ON_FILE(ssize_t, pwrite64, (int file, const void *bytes, size_t size, off64_t start),
	(file, bytes, size, start), 1)
ON_FILE(ssize_t, writev, (int file, const struct iovec *parts, int number),
	(file, parts, number), 1)
ON_FILE(ssize_t, sendfile, (int file, int from, off_t *start, size_t size),
	(file, from, start, size), 1)
ON_FILE(ssize_t, sendfile64, (int file, int from, off64_t *start, size_t size),
	(file, from, start, size), 1)
ON_FILE(int, ftruncate, (int file, off_t size), (file, size), 1)
ON_FILE(int, ftruncate64, (int file, off64_t size), (file, size), 1)
ON_FILE(int, fsync, (int file), (file), 0)
ON_FILE(int, fdatasync, (int file), (file), 0)

ssize_t copy_file_range(int from, off64_t *from_start, int file, off64_t *start, size_t size,
			unsigned int flags)
{
	char path[PATH_MAX];

	REAL(copy_file_range);
	if (below)
		FAIL_IF(interrupted(path_of(file, path), 1))
	return real(from, from_start, file, start, size, flags);
}

#define ON_PATH(name, parameters, arguments, folder, target, space) \
	int name parameters \
	{ \
		char absolute_path[PATH_MAX]; \
		REAL(name); \
		if (below) \
			FAIL_IF(interrupted(absolute(folder, target, absolute_path), space)) \
		return real arguments; \
	}

ON_PATH(rename, (const char *from, const char *to), (from, to), AT_FDCWD, to, 0)
ON_PATH(renameat, (int from_folder, const char *from, int folder, const char *to),
	(from_folder, from, folder, to), folder, to, 0)
ON_PATH(renameat2,
	(int from_folder, const char *from, int folder, const char *to, unsigned int flags),
	(from_folder, from, folder, to, flags), folder, to, 0)
ON_PATH(unlink, (const char *path), (path), AT_FDCWD, path, 0)
ON_PATH(unlinkat, (int folder, const char *path, int flags), (folder, path, flags), folder, path, 0)
ON_PATH(rmdir, (const char *path), (path), AT_FDCWD, path, 0)
ON_PATH(mkdir, (const char *path, mode_t mode), (path, mode), AT_FDCWD, path, 1)
ON_PATH(mkdirat, (int folder, const char *path, mode_t mode), (folder, path, mode), folder, path, 1)
ON_PATH(symlink, (const char *to, const char *path), (to, path), AT_FDCWD, path, 1)
ON_PATH(link, (const char *to, const char *path), (to, path), AT_FDCWD, path, 1)

#define ON_OPEN(name, parameters, arguments, folder) \
	int name parameters \
	{ \
		char absolute_path[PATH_MAX]; \
		va_list rest; \
		mode_t mode = 0; \
		REAL(name); \
		if (flags & (O_CREAT | __O_TMPFILE)) { \
			va_start(rest, flags); \
			mode = va_arg(rest, mode_t); \
			va_end(rest); \
		} \
		if (below && flags & (O_CREAT | O_TRUNC)) \
			FAIL_IF(interrupted(absolute(folder, path, absolute_path), 1)) \
		return real arguments; \
	}

ON_OPEN(open, (const char *path, int flags, ...), (path, flags, mode), AT_FDCWD)
ON_OPEN(open64, (const char *path, int flags, ...), (path, flags, mode), AT_FDCWD)
ON_OPEN(openat, (int folder, const char *path, int flags, ...), (folder, path, flags, mode), folder)
ON_OPEN(openat64, (int folder, const char *path, int flags, ...), (folder, path, flags, mode),
	folder)

#define ON_STREAM(name) \
	FILE *name(const char *path, const char *mode) \
	{ \
		char absolute_path[PATH_MAX]; \
		REAL(name); \
		if (below && mode[0] != 'r' && \
		    interrupted(absolute(AT_FDCWD, path, absolute_path), 1)) { \
			errno = ENOSPC; \
			return NULL; \
		} \
		return real(path, mode); \
	}

ON_STREAM(fopen)
ON_STREAM(fopen64)

size_t fwrite(const void *bytes, size_t size, size_t number, FILE *stream)
{
	char path[PATH_MAX];

	REAL(fwrite);
	if (below && interrupted(path_of(fileno(stream), path), 1)) {
		errno = ENOSPC;
		return 0;
	}
	return real(bytes, size, number, stream);
}

int fflush(FILE *stream)
{
	char path[PATH_MAX];

	REAL(fflush);
	if (below && stream && interrupted(path_of(fileno(stream), path), 1)) {
		errno = ENOSPC;
		return EOF;
	}
	return real(stream);
}
