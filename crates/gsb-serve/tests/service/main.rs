//! The service over real sockets.

mod batches;
mod clients;
mod fixture;
mod limits;
mod load;
mod mutated;
mod openapi;
mod statuses;
