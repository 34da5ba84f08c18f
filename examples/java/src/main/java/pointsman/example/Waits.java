package pointsman.example;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.temporal.activity.ActivityCancellationType;
import io.temporal.activity.ActivityOptions;
import io.temporal.common.RetryOptions;
import io.temporal.failure.CanceledFailure;
import io.temporal.workflow.ActivityStub;
import io.temporal.workflow.CancellationScope;
import io.temporal.workflow.CompletablePromise;
import io.temporal.workflow.SignalMethod;
import io.temporal.workflow.Promise;
import io.temporal.workflow.Workflow;
import io.temporal.workflow.WorkflowInfo;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;

/**
 * The waits of a workflow, through Pointsman's two activities and its signal alone; see
 * docs/waiting.md. A workflow makes one of these, as a field, and may hold several waits at once.
 */
public final class Waits {

  /** What a workflow waits for; an event of the span before the wait counts too. */
  public record Wait(String tenant, String eventName, String correlationKey, Duration lookback) {}

  /** The argument of the signal. */
  @JsonIgnoreProperties(ignoreUnknown = true) // or a field of a later version would lose the event
  public record Event(
      String waitId,
      String eventId,
      String eventName,
      String correlationKey,
      Map<String, Object> payload,
      Instant receivedAt,
      String deliveryId) {}

  /** The signal. */
  public interface Events {
    @SignalMethod(name = "pointsman.event")
    void arrived(Event event);
  }

  /** The argument of pointsman.register_wait. */
  @JsonNaming(SnakeCaseStrategy.class)
  private record Registration(
      String tenant,
      String waitId,
      String eventName,
      String correlationKey,
      String workflowId,
      String runId,
      double lookbackSeconds,
      Instant expiresAt) {}

  /** The argument of pointsman.close_wait. */
  @JsonNaming(SnakeCaseStrategy.class)
  private record Closing(String tenant, String waitId, String disposition, String eventId) {}

  // Tried again without limit, so that an outage of Pointsman delays a wait and never fails it.
  private final ActivityStub service =
      Workflow.newUntypedActivityStub(
          ActivityOptions.newBuilder()
              .setTaskQueue("pointsman")
              .setStartToCloseTimeout(Duration.ofSeconds(10))
              .setCancellationType(ActivityCancellationType.WAIT_CANCELLATION_COMPLETED)
              .setRetryOptions(
                  RetryOptions.newBuilder()
                      .setMaximumInterval(Duration.ofSeconds(15))
                      .setDoNotRetry("InvalidWait", "WaitConflict")
                      .build())
              .build());

  private final Map<String, OpenWait> open = new HashMap<>();

  public Waits() {
    Workflow.registerListener((Events) this::receive);
  }

  /** Events for other waits are passed over. */
  private void receive(Event event) {
    OpenWait wait = open.get(event.waitId());
    if (wait != null) {
      wait.arrived.complete(event); // the first one; a repetition changes nothing
    }
  }

  /**
   * Waits for one event; empty when none came in time. A cancelled workflow withdraws its wait. An
   * ActivityFailure says that the wait was refused.
   */
  public Optional<Event> forEvent(Wait wait, Duration timeout) {
    OpenWait opened = new OpenWait(wait, timeout);
    boolean isOver;
    try {
      isOver = Workflow.await(timeout, opened::isOver);
    } catch (CanceledFailure cancellation) {
      opened.close("cancelled", null);
      throw cancellation;
    }
    if (!isOver) {
      opened.close("timed_out", null);
      return Optional.empty();
    }
    Event event = opened.event();
    // Before the event is used: a later look-back must not hand it out again.
    opened.close("accepted", event.eventId());
    return Optional.of(event);
  }

  /** One wait, from its registration to its end. */
  private final class OpenWait {
    private final String tenant;
    private final String id;
    private final CompletablePromise<Event> arrived = Workflow.newPromise();
    private final CompletablePromise<Optional<RuntimeException>> refusal = Workflow.newPromise();
    private final CancellationScope registering;

    OpenWait(Wait wait, Duration timeout) {
      tenant = wait.tenant();
      id = Workflow.sideEffect(String.class, () -> UUID.randomUUID().toString());
      open.put(id, this);
      Registration registration = registration(wait, timeout);
      registering =
          Workflow.newCancellationScope(() -> refusal.completeFrom(register(registration)));
      registering.run();
    }

    /** Completed when the registration is over, with what it failed with. */
    private Promise<Optional<RuntimeException>> register(Registration registration) {
      return service
          .executeAsync("pointsman.register_wait", Object.class, registration)
          .handle((registered, failure) -> Optional.ofNullable(failure));
    }

    private Registration registration(Wait wait, Duration timeout) {
      WorkflowInfo run = Workflow.getInfo();
      return new Registration(
          tenant,
          id,
          wait.eventName(),
          wait.correlationKey(),
          run.getWorkflowId(),
          run.getRunId(),
          wait.lookback().toMillis() / 1000.0,
          // The service forgets the wait some time after its end.
          Instant.ofEpochMilli(Workflow.currentTimeMillis()).plus(timeout).plusSeconds(3600));
    }

    boolean isOver() {
      return arrived.isCompleted() || refusal.isCompleted() && refusal.get().isPresent();
    }

    Event event() {
      if (!arrived.isCompleted()) {
        throw refusal.get().orElseThrow(); // there is no wait to close
      }
      return arrived.get();
    }

    /** Also when the workflow is cancelled. */
    void close(String disposition, String eventId) {
      open.remove(id);
      Workflow.newDetachedCancellationScope(
              () -> {
                registering.cancel(); // changes nothing when it is over, as nearly always
                refusal.get(); // the registration must not overtake the withdrawal
                service.execute(
                    "pointsman.close_wait",
                    Object.class,
                    new Closing(tenant, id, disposition, eventId));
              })
          .run();
    }
  }
}
