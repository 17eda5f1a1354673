"""The service's own errors, in its own words where they are documented or seen."""

from __future__ import annotations

from moto.core.exceptions import ServiceException


class BeanstalkError(ServiceException):
    """An error of the API: ``code`` as the service names it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> BeanstalkError:
    """InvalidParameterValue, which Beanstalk answers to nearly everything."""
    return BeanstalkError("InvalidParameterValue", message)


def no_environment(name: str) -> BeanstalkError:
    """What is answered for an environment that there is not."""
    return invalid(f"No Environment found for EnvironmentName = '{name}'.")


def not_ready(name: str) -> BeanstalkError:
    """What is answered while an environment is being changed."""
    return invalid(f"Environment named {name} is in an invalid state for this operation. Must be Ready.")
