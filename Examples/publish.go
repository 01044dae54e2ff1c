// Publishes ATOF events as JSON Lines to Skein over NATS JetStream. Needs github.com/nats-io/nats.go.
package main

import (
	"crypto/rand"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go"
)

// A run is known by the UUID of its first scope.
func newUUID() string {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		log.Fatal(err)
	}
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

func main() {
	url := os.Getenv("SKEIN_NATS_URL")
	if url == "" {
		url = nats.DefaultURL
	}
	bus, err := nats.Connect(url)
	if err != nil {
		log.Fatal(err)
	}
	defer bus.Close()
	stream, err := bus.JetStream()
	if err != nil {
		log.Fatal(err)
	}

	run := newUUID()
	event := `{"kind":"scope","atof_version":"0.1","scope_category":"%s","category":"agent","name":"go-agent","attributes":[],"uuid":"%s","timestamp":"%s","data":%s}` + "\n"
	now := func() string { return time.Now().UTC().Format(time.RFC3339Nano) }
	body := fmt.Sprintf(event, "start", run, now(), `{"question":"Is it raining?"}`)
	body += fmt.Sprintf(event, "end", run, now(), `{"answer":"No."}`)

	// All events of a run under one key: they stay in order.
	message := nats.NewMsg("skein.v1.events.default." + run)
	message.Data = []byte(body)
	message.Header.Set("Content-Type", "application/x-ndjson")
	// Sent again under the same id it is stored once.
	message.Header.Set("Nats-Msg-Id", "default/go-agent/"+run+"/1")
	ack, err := stream.PublishMsg(message, nats.RetryAttempts(10), nats.RetryWait(time.Second))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("stored in", ack.Stream, "at", ack.Sequence)
}
