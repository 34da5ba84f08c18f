package main

import (
	"errors"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// The contract; see docs/waiting.md.
const (
	serviceQueue = "pointsman"
	registerWait = "pointsman.register_wait"
	closeWait    = "pointsman.close_wait"
	eventSignal  = "pointsman.event"
)

// ErrTimeout says that no event came in time; the wait has been withdrawn.
var ErrTimeout = errors.New("no event in time")

// Wait is the argument of pointsman.register_wait.
type Wait struct {
	Tenant          string  `json:"tenant"`
	WaitID          string  `json:"wait_id"`
	EventName       string  `json:"event_name"`
	CorrelationKey  string  `json:"correlation_key"`
	WorkflowID      string  `json:"workflow_id"`
	RunID           string  `json:"run_id"`
	LookbackSeconds float64 `json:"lookback_seconds,omitempty"`
	ExpiresAt       string  `json:"expires_at,omitempty"`
}

// Event is the argument of the signal.
type Event struct {
	WaitID         string         `json:"waitId"`
	EventID        string         `json:"eventId"`
	EventName      string         `json:"eventName"`
	CorrelationKey string         `json:"correlationKey"`
	Payload        map[string]any `json:"payload"`
	ReceivedAt     string         `json:"receivedAt"`
	DeliveryID     string         `json:"deliveryId"`
}

// WaitForEvent waits for one event; a cancelled workflow withdraws its wait. It holds one wait at a
// time: a workflow with several at once needs one place that reads the signal channel and hands
// events out by wait id.
func WaitForEvent(ctx workflow.Context, wait Wait, timeout time.Duration) (Event, error) {
	if err := identify(ctx, &wait, timeout); err != nil {
		return Event{}, err
	}
	deadline := workflow.NewTimer(ctx, timeout)
	registering, giveUp := workflow.WithCancel(calls(ctx))
	registered := workflow.ExecuteActivity(registering, registerWait, wait)

	event, disposition, err := receive(ctx, wait.WaitID, registered, deadline)
	if err != nil {
		return Event{}, err // refused: there is no wait to close
	}
	giveUp() // changes nothing when it is registered, as nearly always by now
	closing := map[string]string{"tenant": wait.Tenant, "wait_id": wait.WaitID, "disposition": disposition}
	if disposition == "accepted" {
		closing["event_id"] = event.EventID
	} else {
		// The registration must not overtake the withdrawal.
		detached, _ := workflow.NewDisconnectedContext(ctx)
		_ = registered.Get(detached, nil)
	}
	// Before the event is used: a later look-back must not hand it out again.
	detached, _ := workflow.NewDisconnectedContext(calls(ctx))
	err = workflow.ExecuteActivity(detached, closeWait, closing).Get(detached, nil)
	switch disposition {
	case "cancelled":
		return Event{}, ctx.Err()
	case "timed_out":
		return Event{}, ErrTimeout
	}
	return event, err
}

// calls returns a context for the two activities. They are tried again without limit, so that an
// outage of Pointsman delays a wait and never fails it.
func calls(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           serviceQueue,
		StartToCloseTimeout: 10 * time.Second,
		WaitForCancellation: true,
		RetryPolicy: &temporal.RetryPolicy{
			MaximumInterval:        15 * time.Second,
			NonRetryableErrorTypes: []string{"InvalidWait", "WaitConflict"},
		},
	})
}

// identify names the wait and the run that it belongs to, and lets the service forget it some time
// after its deadline.
func identify(ctx workflow.Context, wait *Wait, timeout time.Duration) error {
	info := workflow.GetInfo(ctx).WorkflowExecution
	wait.WorkflowID, wait.RunID = info.ID, info.RunID
	wait.ExpiresAt = workflow.Now(ctx).Add(timeout + time.Hour).UTC().Format(time.RFC3339Nano)
	id := workflow.SideEffect(ctx, func(workflow.Context) any { return uuid.NewString() })
	return id.Get(&wait.WaitID)
}

// receive returns the event that came for the wait, or how the wait ended without one; an error
// only when the wait was refused. Signals for other waits are ignored, and so is every repetition:
// this wait takes one event and is over. (A wait that takes several keeps the event ids it has
// seen.)
func receive(
	ctx workflow.Context, waitID string, registered, deadline workflow.Future,
) (event Event, disposition string, err error) {
	selector := workflow.NewSelector(ctx)
	selector.AddReceive(workflow.GetSignalChannel(ctx, eventSignal), func(signals workflow.ReceiveChannel, _ bool) {
		var arrived Event
		signals.Receive(ctx, &arrived)
		if arrived.WaitID == waitID {
			event, disposition = arrived, "accepted"
		}
	})
	selector.AddFuture(deadline, func(workflow.Future) { disposition = "timed_out" })
	selector.AddFuture(registered, func(future workflow.Future) { err = future.Get(ctx, nil) })
	selector.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) { disposition = "cancelled" })
	for disposition == "" && err == nil {
		selector.Select(ctx)
	}
	if ctx.Err() != nil {
		return event, "cancelled", nil
	}
	return event, disposition, err
}
