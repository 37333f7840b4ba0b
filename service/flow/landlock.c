/* Landlock by its three system calls, which glibc has no functions for. Network and signals are not its part here but that of the system call filter. */
#include "service/flow/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Debian 12's header ends at version 2. */
#define ACCESS_TRUNCATE (UINT64_C(1) << 14)
#define ACCESS_IOCTL_DEV (UINT64_C(1) << 15)

#define OF_FILES (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | ACCESS_TRUNCATE | ACCESS_IOCTL_DEV)
#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITING (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR \
	| LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER | ACCESS_TRUNCATE)

int
landlock_version(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return version < 0 ? 0 : (int)version;
}

/* Every right that this version knows, so that whatever no rule gives is refused. */
static uint64_t
all_rights(int version)
{
	static const unsigned n_rights[] = { 0, 13, 14, 15, 15, 16 };
	size_t known = sizeof n_rights / sizeof *n_rights - 1;

	return (UINT64_C(1) << n_rights[(size_t)version < known ? (size_t)version : known]) - 1;
}

static int
allow(int ruleset, const struct landlock_path *p, uint64_t rights, struct err *e)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = (READING | (p->may_write ? WRITING : 0)) & rights, .parent_fd = open(p->path, O_PATH | O_CLOEXEC) };
	struct stat st;
	int rc;

	if (rule.parent_fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : err_errno(e, "%s", p->path);
	rc = fstat(rule.parent_fd, &st);
	if (rc == 0 && !S_ISDIR(st.st_mode))
		rule.allowed_access &= OF_FILES;
	if (rc == 0)
		rc = (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	if (rc != 0)
		err_errno(e, "allowing %s", p->path);
	close(rule.parent_fd);
	return rc;
}

int
landlock_restrict(const struct landlock_path *paths, size_t n, struct err *e)
{
	int version = landlock_version(), ruleset, rc = 0;
	struct landlock_ruleset_attr attr = { .handled_access_fs = all_rights(version) };

	if (version == 0)
		return 0;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr.handled_access_fs, 0);
	if (ruleset < 0)
		return err_errno(e, "making a Landlock rule set");
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = allow(ruleset, &paths[i], attr.handled_access_fs, e);
	if (rc == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		rc = err_errno(e, "restricting the files");
	close(ruleset);
	return rc == 0 ? 0 : err_note(e, "Landlock");
}
