package tail

import (
	"time"

	"golang.org/x/sys/unix"
)

const (
	// settle is how much older than a listing the folder's last change has to be
	// for the next change to show in its times: they move in steps of 4 ms on
	// today's file systems, of a second or two on old ones.
	settle = 3 * time.Second
	// listEvery is how often the folder is listed although nothing says that it
	// changed.
	listEvery = 5 * time.Minute
)

// listing is what a folder looked like just before it was listed. The zero value
// is a listing that proves nothing.
type listing struct {
	dev, ino     uint64
	mtime, ctime unix.Timespec
	at           time.Time
}

// folder returns what the folder looks like now, and whether a listing that is
// taken now will be good for as long as the folder looks the same: the kernel
// reports changes, the file system is a local one, nothing changed just now, and
// the log is a plain file of one name, to which nothing can happen elsewhere.
func (t *Tail) folder() (at listing, sure bool) {
	if !t.watch.works() || len(t.folders)+len(t.elsewhere) > 0 {
		return listing{}, false // what happens in other folders is not reported
	}
	var st unix.Stat_t
	if unix.Stat(t.dir, &st) != nil {
		return listing{}, false
	}
	at = listing{dev: st.Dev, ino: st.Ino, mtime: st.Mtim, ctime: st.Ctim, at: time.Now()}
	if at.same(t.listed) {
		return at, true
	}
	changed := max(unix.TimespecToNsec(st.Mtim), unix.TimespecToNsec(st.Ctim))
	if at.at.UnixNano()-changed < int64(t.cfg.settle) {
		return at, false
	}
	if unix.Lstat(t.cfg.Path, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink != 1 {
		return at, false
	}
	return at, local(t.dir)
}

func (l listing) same(as listing) bool {
	return !as.at.IsZero() && l.dev == as.dev && l.ino == as.ino && l.mtime == as.mtime && l.ctime == as.ctime
}

// unchanged tells whether a look at the folder can be spared: it looks as it did
// when it was listed, and of the log only the live file is to be read. What
// becomes of that file's content the next read finds; what is written to rotated
// files the kernel reports.
func (t *Tail) unchanged(at listing) bool {
	g, later := t.current()
	if !at.same(t.listed) || at.at.Sub(t.listed.at) >= listEvery || t.problem.err != nil || g == nil || !g.live || later {
		return false
	}
	if t.cfg.Watcher != nil && rescanEvery<<t.idle < idleRescan {
		t.idle++
	}
	if t.cfg.Watcher != nil && t.atRest.Load() < 0 {
		t.atRest.Store(t.unread())
	}
	return true
}

// local tells whether a folder is on a file system whose every change goes
// through this kernel.
func local(dir string) bool {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return false
	}
	switch uint32(st.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.F2FS_SUPER_MAGIC,
		zfsMagic, bcachefsMagic:
		return true
	}
	return false
}

// Magic numbers that golang.org/x/sys does not name.
const (
	zfsMagic      = 0x2fc12fc1
	bcachefsMagic = 0xca451a4e
)
