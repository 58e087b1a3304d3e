package checkpoint

import (
	"io"
	"os"
	"path/filepath"
)

// Replace puts content in the place of the file at path, all at once: after a
// crash at any moment the file is the old one or the new one. It returns the size
// once the file and its name are on the disk. Doing it again changes nothing.
func Replace(path string, content io.Reader) (size int64, err error) {
	f, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return 0, err
	}
	size, err = io.Copy(f, content)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	return size, err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
