"""The prediction log and the counters of rows, written before responses leave."""

from dataclasses import dataclass

from mlchassis.serving.loading import BatchResponse
from mlchassis.serving.logs.prediction_log import PredictionLog, PredictionLogError
from mlchassis.serving.metrics import Metrics
from mlchassis.serving.problems import LOG_UNAVAILABLE, RETRY_SOON, ProblemError


@dataclass(frozen=True)
class PredictionRecorder:
    """Write the log lines of responses, and count their rows and predictions."""

    log: PredictionLog
    metrics: Metrics

    def record(self, response: BatchResponse) -> None:
        """Write the log lines of a batch; its responses may leave then.

        Raises:
            ProblemError: They cannot be written.
        """
        try:
            self.log.append(response.log_lines)
        except PredictionLogError as error:
            # A batch of several requests is tried again, one by one.
            if len(response.bodies) == 1:
                self.metrics.count_log_failure()
            raise ProblemError(LOG_UNAVAILABLE, str(error), RETRY_SOON) from None
        self.metrics.count_rows(response.rows, response.statistics)
