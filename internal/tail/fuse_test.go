//go:build root

package tail

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// faults is a file system that shows a folder, and fails by operation as it is told.
type faults struct {
	mu sync.Mutex
	of map[string]syscall.Errno
}

func (f *faults) set(operation string, errno syscall.Errno) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of[operation] = errno
}

func (f *faults) get(operation string) syscall.Errno {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.of[operation]
}

// node is a file or folder of it.
type node struct {
	fs.LoopbackNode
	faults *faults
}

// WrapChild implements fs.NodeWrapChilder: what is in a folder fails as it does.
func (n *node) WrapChild(_ context.Context, ops fs.InodeEmbedder) fs.InodeEmbedder {
	return &node{fs.LoopbackNode{RootData: ops.(*fs.LoopbackNode).RootData}, n.faults}
}

func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if errno := n.faults.get("lookup"); errno != 0 {
		return nil, errno
	}
	return n.LoopbackNode.Lookup(ctx, name, out)
}

func (n *node) Getattr(ctx context.Context, f fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	if errno := n.faults.get("getattr"); errno != 0 && !n.IsDir() {
		return errno
	}
	return n.LoopbackNode.Getattr(ctx, nil, out)
}

func (n *node) Readdir(ctx context.Context) (fs.DirStream, syscall.Errno) {
	if errno := n.faults.get("readdir"); errno != 0 {
		return nil, errno
	}
	return n.LoopbackNode.Readdir(ctx)
}

func (n *node) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if errno := n.faults.get("readdir"); errno != 0 {
		return nil, 0, errno
	}
	return n.LoopbackNode.OpendirHandle(ctx, flags)
}

func (n *node) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if errno := n.faults.get("open"); errno != 0 {
		return nil, 0, errno
	}
	f, _, errno := n.LoopbackNode.Open(ctx, flags)
	if errno != 0 {
		return nil, 0, errno
	}
	return &handled{f, n.faults}, fuse.FOPEN_DIRECT_IO, 0
}

// handled is an open file of it.
type handled struct {
	fs.FileHandle
	faults *faults
}

func (h *handled) Read(ctx context.Context, to []byte, at int64) (fuse.ReadResult, syscall.Errno) {
	if errno := h.faults.get("read"); errno != 0 {
		return nil, errno
	}
	return h.FileHandle.(fs.FileReader).Read(ctx, to, at)
}

func (h *handled) Release(ctx context.Context) syscall.Errno {
	return h.FileHandle.(fs.FileReleaser).Release(ctx)
}

func (h *handled) Fsync(ctx context.Context, flags uint32) syscall.Errno {
	if errno := h.faults.get("fsync"); errno != 0 {
		return errno
	}
	return h.FileHandle.(fs.FileFsyncer).Fsync(ctx, flags)
}

// mounted shows a folder with faults. The folder itself has none.
func mounted(t *testing.T, below string) (string, *faults) {
	t.Helper()
	f := &faults{of: make(map[string]syscall.Errno)}
	root := &fs.LoopbackRoot{Path: below}
	at := t.TempDir()
	now := time.Duration(0)
	server, err := fs.Mount(at, &node{fs.LoopbackNode{RootData: root}, f}, &fs.Options{
		EntryTimeout: &now, AttrTimeout: &now, NegativeTimeout: &now,
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "faults"},
	})
	must(t, err)
	t.Cleanup(func() {
		if err := server.Unmount(); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return at, f
}

// An error of the file system says nothing of what became of a file: it is said, and
// waited for. Nothing is taken for gone or truncated, and no line is lost or read twice.
func TestErrorsOfTheFileSystemAreWaitedFor(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ESTALE} {
		for _, operation := range []string{"lookup", "getattr", "readdir", "open", "read", "fsync"} {
			t.Run(fmt.Sprintf("%v of %s", errno, operation), func(t *testing.T) {
				f := newFolder(t)
				at, faults := mounted(t, f.dir)
				var said []error
				cfg := config(t, filepath.Join(at, filepath.Base(f.path)))
				cfg.Changed = func(err error) { said = append(said, err) }
				tail := looked(t, f, cfg)
				now := time.Now()
				f.write(numbered(0, 100))
				tail.look(now, false)
				got := text(tail, now)
				if got != numbered(0, 100) {
					t.Fatalf("read %d bytes before any fault", len(got))
				}
				faults.set(operation, errno)
				f.write(numbered(100, 200))
				f.rotate(".1")
				f.write(numbered(200, 300))
				for i := range 5 {
					now = now.Add(time.Duration(i) * time.Hour) // longer than anything is waited for
					tail.rescan = true
					tail.look(now, false)
					got += text(tail, now)
				}
				if !strings.HasPrefix(numbered(0, 300), got) {
					t.Fatalf("read %q", got)
				}
				noticed := false
				for _, err := range said {
					noticed = noticed || errors.Is(err, errno)
				}
				if !noticed {
					t.Fatalf("said %v, want %v", said, errno)
				}
				faults.set(operation, 0)
				for range 5 {
					now = now.Add(time.Hour)
					tail.rescan = true
					tail.look(now, false)
					got += text(tail, now)
				}
				if got != numbered(0, 300) {
					t.Errorf("read %d bytes after it has healed, want %d", len(got), len(numbered(0, 300)))
				}
				if last := said[len(said)-1]; last != nil {
					t.Errorf("said %v last, want that it has healed", last)
				}
				if n := tail.counts.abandoned.Load(); n != 0 {
					t.Errorf("%d bytes are counted as lost", n)
				}
			})
		}
	}
}
