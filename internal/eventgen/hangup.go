package eventgen

import (
	"os"
	"os/signal"
	"syscall"
)

// onHangup calls reopen at each SIGHUP until stop is called. It is the process's business and not the
// App's: in another process, such as the demo, SIGHUP still has to end it.
func onHangup(reopen func()) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range hangups {
			reopen()
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(hangups)
		<-ended
	}
}
