"""What a request passes before it is worked on, in order.

`connections` and `protocol`: how many connections, how long for a head. `body`: how large, and how
long.
`callers`: whose token it is, asked rarely. `shares`: how many requests of one tenant at once.
`admission` holds what one request was granted.
"""
