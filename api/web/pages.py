"""The page's routers: people's way to the same use cases as the API."""

from fastapi import APIRouter

from api.web import bookings, captures, find, jobs, registry, signin

router = APIRouter(include_in_schema=False)
for part in (signin, captures, bookings, find, registry, jobs):
    router.include_router(part.router)
