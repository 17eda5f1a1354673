"""What the rehearsal answers to an operation that neither it nor moto knows: an error of the service's own shape."""

from __future__ import annotations

from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse


class NotRehearsed(ServiceException):
    """The error. Its code is the one that AWS uses where an operation is not to be had."""

    code = "NotImplemented"


class SaysWhatIsMissing(BaseResponse):
    """A part of a service's dispatcher; stands before moto's in the order of base classes."""

    def call_action(self) -> Any:
        """Answer the request, also one that nothing answers."""
        try:
            return super().call_action()
        except NotImplementedError:
            words = f"{self._get_action()} of {self.service_name} is not rehearsed; rehearsal/README.md says what is"
            status, headers, body = self.serialized(ActionResult(NotRehearsed(words)))
            return status, headers, body
