// Waits for a business event in Go, through Pointsman's two activities and its signal alone.
package main

import (
	"log"
	"os"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
)

const taskQueue = "pointsman-examples-go"

func main() {
	temporal, err := client.Dial(client.Options{
		HostPort:  environment("TEMPORAL_ADDRESS", "127.0.0.1:7233"),
		Namespace: environment("TEMPORAL_NAMESPACE", "default"),
	})
	if err != nil {
		log.Fatalln("no connection to Temporal:", err)
	}
	defer temporal.Close()

	example := worker.New(temporal, taskQueue, worker.Options{})
	example.RegisterWorkflow(AwaitInvoice)
	if err := example.Run(worker.InterruptCh()); err != nil {
		log.Fatalln("the worker failed:", err)
	}
}

func environment(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}
