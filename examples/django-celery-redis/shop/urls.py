from django.http import HttpRequest, HttpResponse
from django.urls import path

from shop.tasks import add


def health(request: HttpRequest) -> HttpResponse:
    return HttpResponse("well")


def total(request: HttpRequest) -> HttpResponse:
    """Asks a worker, and waits for its answer."""
    return HttpResponse(f"the worker says {add.delay(2, 3).get(timeout=10)}")


urlpatterns = [path("", total), path("health", health)]
