package ship

// What may happen to a cluster beside failing requests.

// forget is a leader's state of producers that has expired.
func (c *cluster) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.producers)
}

// restart is a leader that recognises only the last batch of each producer.
func (c *cluster) restart() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.producers {
		p.known = p.known[max(0, len(p.known)-1):]
	}
}

// deleteRecords moves a log's start, as retention does.
func (c *cluster) deleteRecords(partition int32, before int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.starts[partition] = before
}

// losesAfter takes away the records of a partition from an offset on, which begins a
// batch, as an unclean election does.
func (c *cluster) losesAfter(partition int, offset int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.logs[partition] = c.logs[partition][:offset]
	kept := c.stored[partition][:0]
	clear(c.producers)
	for _, b := range c.stored[partition] {
		if b.BaseOffset >= offset {
			break
		}
		kept = append(kept, b)
		p := &producer{epoch: b.epoch, next: sequenceOf(int64(b.FirstSequence) + int64(len(b.Lines)))}
		p.known = []memory{{b.FirstSequence, len(b.Lines), b.BaseOffset}}
		c.producers[[2]int64{int64(partition), b.id}] = p
	}
	c.stored[partition] = kept
}

// recreate is a topic of the same name with nothing in it.
func (c *cluster) recreate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.topicID += "-again"
	clear(c.producers)
	clear(c.logs)
	clear(c.stored)
}

// foreign appends lines under the numbers that come next of whoever sends to a
// partition.
func (c *cluster) foreign(partition int32, lines ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := Batch{}
	for key, p := range c.producers {
		if key[0] == int64(partition) {
			b.ProducerID, b.Epoch, b.FirstSequence = key[1], p.epoch, p.next
		}
	}
	for _, line := range lines {
		b.Lines = append(b.Lines, []byte(line))
	}
	if _, err := c.store(partition, b); err != nil {
		panic(err)
	}
}

func (c *cluster) records(partition int) int {
	return c.count(func() int { return len(c.logs[partition]) })
}
