// Publishes ATOF events as JSON Lines to Skein over NATS JetStream. Needs github.com/nats-io/nats.go.
package main

import (
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go"
)

const run = "018f3c00-0000-7000-8000-000000000001"

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

	event := `{"kind":"scope","atof_version":"0.1","scope_category":"%s","category":"agent","name":"go-agent","uuid":"%s","timestamp":"%s","data":%s}` + "\n"
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
