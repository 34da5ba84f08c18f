import {
  ActivityCancellationType,
  CancellationScope,
  condition,
  defineSignal,
  isCancellation,
  proxyActivities,
  setHandler,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow';

// The contract; see docs/waiting.md.

/** What a workflow waits for. */
export interface Wait {
  tenant: string;
  eventName: string;
  correlationKey: string;
  lookbackSeconds?: number;
}

/** The argument of the signal. */
export interface PointsmanEvent {
  waitId: string;
  eventId: string;
  eventName: string;
  correlationKey: string;
  payload: Record<string, unknown>;
  receivedAt: string;
  deliveryId: string;
}

/** How a wait ended. */
type Disposition = 'accepted' | 'timed_out' | 'cancelled';

type Calls = {
  'pointsman.register_wait'(wait: Record<string, unknown>): Promise<unknown>;
  'pointsman.close_wait'(closing: Record<string, unknown>): Promise<unknown>;
};

// Tried again without limit, so that an outage of Pointsman delays a wait and never fails it.
const service = proxyActivities<Calls>({
  taskQueue: 'pointsman',
  startToCloseTimeout: '10s',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { maximumInterval: '15s', nonRetryableErrorTypes: ['InvalidWait', 'WaitConflict'] },
});

const eventSignal = defineSignal<[PointsmanEvent]>('pointsman.event');

/**
 * Waits for one event; undefined when none came in time. A cancelled workflow withdraws its wait.
 * It holds one wait at a time: a workflow with several at once needs one handler of the signal that
 * hands events out by wait id.
 */
export async function waitForEvent(wait: Wait, milliseconds: number): Promise<PointsmanEvent | undefined> {
  const waitId = uuid4();
  let arrived: PointsmanEvent | undefined;
  let refused: unknown;
  // Signals for other waits are ignored, and so is every repetition.
  setHandler(eventSignal, (event) => {
    if (event.waitId === waitId) arrived ??= event;
  });

  const registration = new CancellationScope();
  const registered = registration
    .run(() => service['pointsman.register_wait'](request(wait, waitId, milliseconds)))
    .catch((error: unknown) => {
      if (!isCancellation(error)) refused = error;
    });

  let disposition: Disposition = 'cancelled';
  let cancellation: unknown;
  try {
    const isOver = await condition(() => arrived !== undefined || refused !== undefined, milliseconds);
    disposition = isOver ? 'accepted' : 'timed_out';
  } catch (error) {
    if (!isCancellation(error)) throw error;
    cancellation = error;
  }
  if (refused !== undefined) throw refused; // there is no wait to close

  await CancellationScope.nonCancellable(async () => {
    registration.cancel(); // changes nothing when it is registered, as nearly always by now
    await registered; // it must not overtake the withdrawal
    // Before the event is used: a later look-back must not hand it out again.
    await service['pointsman.close_wait']({
      tenant: wait.tenant,
      wait_id: waitId,
      disposition,
      ...(disposition === 'accepted' ? { event_id: arrived?.eventId } : {}),
    });
  });
  if (cancellation !== undefined) throw cancellation;
  return disposition === 'accepted' ? arrived : undefined;
}

/** The argument of pointsman.register_wait; the service forgets the wait some time after its end. */
function request(wait: Wait, waitId: string, milliseconds: number): Record<string, unknown> {
  const { workflowId, runId } = workflowInfo();
  return {
    tenant: wait.tenant,
    wait_id: waitId,
    event_name: wait.eventName,
    correlation_key: wait.correlationKey,
    workflow_id: workflowId,
    run_id: runId,
    lookback_seconds: wait.lookbackSeconds ?? 0,
    expires_at: new Date(Date.now() + milliseconds + 3_600_000).toISOString(),
  };
}
