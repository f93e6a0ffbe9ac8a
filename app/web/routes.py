"""Every page, for the application."""

from fastapi import APIRouter

from app.web import account, openid, sign_in, static

router = APIRouter()
for _part in (sign_in, openid, account, static):
    router.include_router(_part.router)
