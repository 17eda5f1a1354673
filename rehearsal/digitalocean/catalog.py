"""Some of what DigitalOcean has to offer: regions, sizes and images, under the names of https://slugs.do-api.dev."""

from __future__ import annotations

from typing import Any

_FEATURES = ["backups", "ipv6", "metadata", "install_agent", "storage", "image_transfer"]
# Slug to memory in MiB, cores, disk in GiB, transfer in TB, dollars a month.
_SIZES = {
    "s-1vcpu-512mb-10gb": (512, 1, 10, 0.5, 4),
    "s-1vcpu-1gb": (1024, 1, 25, 1, 6),
    "s-1vcpu-2gb": (2048, 1, 50, 2, 12),
    "s-2vcpu-2gb": (2048, 2, 60, 3, 18),
    "s-2vcpu-4gb": (4096, 2, 80, 4, 24),
    "s-4vcpu-8gb": (8192, 4, 160, 5, 48),
    "s-8vcpu-16gb": (16384, 8, 320, 6, 96),
    "g-2vcpu-8gb": (8192, 2, 25, 4, 63),
}
# Not every region has every size.
_LACKS = {"sfo2": {"g-2vcpu-8gb"}, "blr1": {"s-8vcpu-16gb", "g-2vcpu-8gb"}}
_REGIONS = {
    "ams3": "Amsterdam 3",
    "blr1": "Bangalore 1",
    "fra1": "Frankfurt 1",
    "lon1": "London 1",
    "nyc1": "New York 1",
    "nyc3": "New York 3",
    "sfo2": "San Francisco 2",
    "sfo3": "San Francisco 3",
    "sgp1": "Singapore 1",
    "syd1": "Sydney 1",
    "tor1": "Toronto 1",
}
_IMAGES = {"debian-13-x64": (188014101, "Debian", "13 x64")}


def sizes_of(region: str) -> list[str]:
    """The sizes that a region has."""
    return [slug for slug in _SIZES if slug not in _LACKS.get(region, set())]


def regions() -> list[dict[str, Any]]:
    """All regions, as the API describes them. San Francisco 2 takes no new customers, as in the real one."""
    return [
        {"slug": slug, "name": name, "features": _FEATURES, "available": slug != "sfo2", "sizes": sizes_of(slug)}
        for slug, name in _REGIONS.items()
    ]


def region(slug: str) -> dict[str, Any] | None:
    """A region, or None."""
    return next((each for each in regions() if each["slug"] == slug), None)


def sizes() -> list[dict[str, Any]]:
    """All sizes, as the API describes them."""
    return [
        {
            "slug": slug,
            "memory": memory,
            "vcpus": cores,
            "disk": disk,
            "transfer": transfer,
            "price_monthly": price,
            "price_hourly": round(price / 672, 5),
            "regions": [each for each in _REGIONS if slug in sizes_of(each)],
            "available": True,
            "description": "Basic" if slug.startswith("s-") else "General Purpose",
        }
        for slug, (memory, cores, disk, transfer, price) in _SIZES.items()
    ]


def size(slug: str) -> dict[str, Any] | None:
    """A size, or None."""
    return next((each for each in sizes() if each["slug"] == slug), None)


def images() -> list[dict[str, Any]]:
    """The distributions, as the API describes them."""
    return [
        {
            "id": number,
            "name": name,
            "distribution": distribution,
            "slug": slug,
            "public": True,
            "regions": list(_REGIONS),
            "created_at": "2026-01-12T00:00:00Z",
            "min_disk_size": 7,
            "type": "base",
            "size_gigabytes": 0.5,
            "description": f"{distribution} {name}",
            "tags": [],
            "status": "available",
        }
        for slug, (number, distribution, name) in _IMAGES.items()
    ]


def image(wanted: Any) -> dict[str, Any] | None:
    """An image by slug or number, or None."""
    return next((each for each in images() if wanted in (each["slug"], each["id"], str(each["id"]))), None)
