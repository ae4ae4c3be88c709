# shellcheck shell=bash
# open-iscsi makes this machine's iSCSI name when it is installed, so all nodes of an image would have the same one, and a storage
# server would let two of them write to one volume. The clean-up takes the name away; each node makes its own at its first boot.
install_text 0644 /etc/systemd/system/node-image-iscsi-name.service <<'EOF'
[Unit]
Description=Name of this iSCSI initiator
ConditionPathExists=!/etc/iscsi/initiatorname.iscsi
Before=iscsid.service kubelet.service

[Service]
Type=oneshot
RemainAfterExit=yes
UMask=0077
ExecStart=/bin/sh -c 'name=$(iscsi-iname) && echo "InitiatorName=$name" >/etc/iscsi/initiatorname.iscsi'

[Install]
WantedBy=multi-user.target
EOF
systemctl enable --quiet node-image-iscsi-name.service
# multipathd, which Ubuntu's images run, takes the disks of iSCSI volumes, and they cannot be mounted then. Hetzner Cloud and Robot have
# no disk that is reached on more than one path.
install_text 0644 /etc/multipath/conf.d/90-node-image.conf <<'EOF'
blacklist {
    devnode "^sd[a-z0-9]+"
}
EOF
say "multipathd leaves disks alone; each node gets an iSCSI name of its own"
