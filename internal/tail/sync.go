package tail

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Sync sees to it that what was read of a generation is on the disk, and blocks
// until it is. Without it a power loss may take lines from the page cache that a
// stored state says are behind it; those that the writer puts in their place would
// then be taken for read. Generations before it were synced when they ended.
//
// It may be called from any goroutine. A generation that has ended, or that is read
// from inside a compressed file, needs nothing.
func (t *Tail) Sync(generation int64) error {
	fd, name := -1, ""
	t.mu.Lock()
	for _, g := range t.gens {
		if g.number == generation && g.file != nil && !g.ended {
			// One of our own: reading may end and the file be closed meanwhile.
			if d, err := unix.FcntlInt(g.file.Fd(), unix.F_DUPFD_CLOEXEC, 0); err == nil {
				fd, name = d, g.name
			} else {
				t.mu.Unlock()
				return fmt.Errorf("sync log file: dup %s: %w", g.name, err)
			}
		}
	}
	t.mu.Unlock()
	if fd < 0 {
		return nil
	}
	defer func() { _ = unix.Close(fd) }()
	return syncData(fd, name)
}

// syncData is fdatasync(2). Where a file can't be synced, there is nothing that a
// power loss would leave of it.
func syncData(fd int, name string) error {
	for {
		switch err := unix.Fdatasync(fd); {
		case err == nil, errors.Is(err, unix.EINVAL), errors.Is(err, unix.EROFS), errors.Is(err, unix.ENOTSUP):
			return nil
		case !errors.Is(err, unix.EINTR):
			return fmt.Errorf("sync log file: fdatasync %s: %w", name, err)
		}
	}
}
