package main

import (
	"errors"
	"time"

	"go.temporal.io/sdk/workflow"
)

// Invoice is the input of AwaitInvoice.
type Invoice struct {
	Tenant         string  `json:"tenant"`
	InvoiceID      string  `json:"invoice_id"`
	TimeoutSeconds float64 `json:"timeout_seconds"`
}

// Outcome is its result; EventID is nil when no event came in time.
type Outcome struct {
	Status  string  `json:"status"`
	EventID *string `json:"event_id"`
}

// AwaitInvoice waits until the invoice is paid.
func AwaitInvoice(ctx workflow.Context, invoice Invoice) (Outcome, error) {
	paid, err := WaitForEvent(ctx, Wait{
		Tenant:          invoice.Tenant,
		EventName:       "INVOICE_PAID",
		CorrelationKey:  invoice.InvoiceID,
		LookbackSeconds: 600,
	}, time.Duration(invoice.TimeoutSeconds*float64(time.Second)))
	if errors.Is(err, ErrTimeout) {
		return Outcome{Status: "expired"}, nil
	}
	if err != nil {
		return Outcome{}, err
	}
	return Outcome{Status: "paid", EventID: &paid.EventID}, nil
}
